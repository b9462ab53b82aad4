"""Profiles the models: where time goes by layer, and what a frame takes through the cuts that matter.

Out: ``results/profiles/<model>/cpu<pct>-mem<pct>/profile.json`` with its logs.
"""


rule profile:
    """Profile one model on a leased testbed: layers, heads and tails on both tiers, then frames end to end."""
    input:
        stored=f"{RESULTS}/models/{{model}}.json",
        others=ancient(
            expand(f"{RESULTS}/models/{{model}}.json", model=EXPERIMENT.models)
        ),
    output:
        f"{RESULTS}/profiles/{{model}}/cpu{{cpu}}-mem{{mem}}/profile.json",
    log:
        f"{RESULTS}/profiles/{{model}}/cpu{{cpu}}-mem{{mem}}/profile.log",
    priority: profile_priority_of
    retries: 1
    resources:
        testbed=1,
    params:
        protocol=PROTOCOL_VERSION,
        experiment=lambda wildcards: EXPERIMENT.digest(wildcards.model),
        asked=profile_choices(EXPERIMENT),
        hosts=HOSTS_DIGEST,
        folder=subpath(output[0], parent=True),
        config=RESOLVED,
    shell:
        "exec setpriv --pdeathsig TERM python -m hosts.profile --config {params.config:q} --model {wildcards.model:q}"
        " --cpu {wildcards.cpu} --mem {wildcards.mem} --stored {input.stored:q} --out {params.folder:q} 2> >(tee {log:q} >&2)"
