"""Prepares the models and measures the blocks.

Out: ``results/models/<model>.json`` and ``results/runs/<model>/<strategy>/cpu<pct>-mem<pct>/run.json`` with its logs.
"""


rule model:
    """Put a model with its weights into the content-addressed store, and say where it is cut."""
    output:
        f"{RESULTS}/models/{{model}}.json",
    log:
        f"{RESULTS}/models/{{model}}.log",
    params:
        source=lambda wildcards: EXPERIMENT.models[wildcards.model].source
        or wildcards.model,
        weights=lambda wildcards: EXPERIMENT.models[wildcards.model].weights,
        seed=EXPERIMENT.seed,
        store=str(MODEL_STORE),
        cuts=lambda wildcards: [
            f"--cut={point}" for _, point in named_points(EXPERIMENT, wildcards.model)
        ],
    shell:
        "python -m workers.store {params.source:q} --weights {params.weights:q} --seed {params.seed}"
        " --store {params.store:q} {params.cuts:q} > {output:q} 2> {log:q} || {{ cat {log:q} >&2; exit 1; }}"


rule measure:
    """Measure one block on a leased testbed: all FPS, directions and repeats on warm hosts."""
    input:
        stored=f"{RESULTS}/models/{{model}}.json",
        profile=deciding_profile,
        # Making a model takes all CPUs: on one machine it must be over before anything is measured.
        others=ancient(
            expand(f"{RESULTS}/models/{{model}}.json", model=EXPERIMENT.models)
        ),
    output:
        f"{RESULTS}/runs/{{model}}/{{strategy}}/cpu{{cpu}}-mem{{mem}}/run.json",
    log:
        f"{RESULTS}/runs/{{model}}/{{strategy}}/cpu{{cpu}}-mem{{mem}}/measure.log",
    priority: priority_of
    retries: 1
    resources:
        testbed=1,
    params:
        protocol=PROTOCOL_VERSION,
        experiment=lambda wildcards: EXPERIMENT.digest(wildcards.model),
        hosts=HOSTS_DIGEST,
        folder=subpath(output[0], parent=True),
        config=RESOLVED,
        profile=lambda wildcards, input: [f"--profile={path}" for path in input.profile],
    shell:
        "exec setpriv --pdeathsig TERM python -m hosts.measure --config {params.config:q}"
        " --model {wildcards.model:q} --strategy {wildcards.strategy:q}"
        " --cpu {wildcards.cpu} --mem {wildcards.mem} --stored {input.stored:q} --out {params.folder:q}"
        " {params.profile:q} 2> >(tee {log:q} >&2)"
