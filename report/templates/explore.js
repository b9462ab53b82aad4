"use strict";
// The table of runs in the section Explore: unpacks the data beside it, then sorts, filters and opens rows.
// All text goes in by textContent or as an attribute, never as HTML.
(() => {
  const app = document.getElementById("explore-app");
  const { rows: packedRows, details: packedDetails, rest } = JSON.parse(document.getElementById("explore-data").textContent);
  const PAGE_ROWS = 25;
  const NONE = "–";
  const collator = new Intl.Collator("en", { numeric: true });

  // ---- data -------------------------------------------------------------------------------------------------

  function unpack({ values, words, lengths }) {
    const read = words ? values.map((place) => (place < 0 ? null : words[place])) : values;
    return lengths ? read.flatMap((value, n) => Array(lengths[n]).fill(value)) : read;
  }
  function unpackAll(columns) {
    return Object.fromEntries(Object.entries(columns).map(([name, packed]) => [name, unpack(packed)]));
  }
  const rows = unpackAll(packedRows);
  const count = rows.run.length;
  rows.change = rows.from_mbps.map((from, n) => `${from} → ${rows.to_mbps[n]}`);
  rows.drop_pct = rows.dropped.map((dropped, n) => (rows.offered[n] ? (100 * dropped) / rows.offered[n] : null));

  const details = unpackAll(packedDetails.columns);
  const shape = unpack(packedDetails.shape);
  const placeOfDetails = new Map((packedDetails.of ?? shape.map((_, n) => n)).map((row, place) => [row, place]));
  let begin = 0;
  const firstPart = shape.map((number) => {
    const here = begin;
    begin += number < 0 ? 0 : packedDetails.shapes[number].length;
    return here;
  });
  function partsOf(place) {
    const names = shape[place] < 0 ? [] : packedDetails.shapes[shape[place]];
    return names.map((name, n) => [...name, packedDetails.ms[firstPart[place] + n]]);
  }

  // ---- words ------------------------------------------------------------------------------------------------

  function digits(value, significant = 3) {
    if (value === null || value === undefined) return NONE;
    const decimals = value === 0 ? 0 : Math.max(0, significant - 1 - Math.floor(Math.log10(Math.abs(value))));
    return value.toLocaleString("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
  }
  function duration(ms) {
    if (ms === null || ms === undefined) return NONE;
    return Math.abs(ms) >= 1000 ? `${digits(ms / 1000)}\u00a0s` : `${digits(ms)}\u00a0ms`;
  }
  function shown(value) {
    return value === null || value === undefined ? NONE : typeof value === "number" ? String(value) : value;
  }
  function gap(n) {
    return (rows.service_gap_is_lower_bound[n] ? "≥ " : "") + duration(rows.service_gap_ms[n]);
  }
  function drops(n) {
    if (rows.offered[n] === null) return NONE;
    return rows.offered[n] ? `${rows.dropped[n]} of ${rows.offered[n]}` : "no frame offered";
  }

  // ---- elements ---------------------------------------------------------------------------------------------

  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children.map((child) => (child instanceof Node ? child : String(child))));
    return made;
  }
  function table(caption, heads, body) {
    const head = heads.map((label, n) => element("th", { scope: "col", ...(n ? { class: "number" } : {}) }, label));
    const lines = body.map(([first, ...others]) =>
      element("tr", {}, element("th", { scope: "row" }, first), ...others.map((v) => element("td", { class: "number" }, v))),
    );
    return element(
      "table", {}, element("caption", {}, caption),
      element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...lines),
    );
  }

  function scrolling(inner) {
    const name = inner.querySelector("caption").textContent;
    return element("div", { role: "group", tabindex: 0, "aria-label": name }, inner);
  }

  // ---- what is shown ----------------------------------------------------------------------------------------

  const COLUMNS = [
    { key: "run", label: "Run" },
    { key: "model", label: "Model" },
    { key: "strategy", label: "Strategy" },
    { key: "cpu_pct", label: "CPU", note: "%", number: true },
    { key: "mem_pct", label: "Memory", note: "%", number: true },
    { key: "fps", label: "FPS", number: true },
    { key: "change", label: "Change", note: "Mbit/s" },
    { key: "status", label: "Status" },
    { key: "downtime_ms", label: "Downtime", number: true, show: (n) => duration(rows.downtime_ms[n]) },
    { key: "outage_ms", label: "Outage", number: true, show: (n) => duration(rows.outage_ms[n]) },
    { key: "service_gap_ms", label: "Service gap", number: true, show: gap },
    { key: "drop_pct", label: "Dropped", note: "meanwhile", number: true, show: drops },
    { key: "flag", label: "Conditions" },
    { key: "repeat", label: "Repeat", number: true },
  ];
  const FILTERS = ["model", "strategy", "cpu_pct", "mem_pct", "fps", "change", "status", "flag"];
  const TONES = {
    failed: "tone-bad", invalid: "tone-bad", infeasible: "tone-quiet",
    "out of tolerance": "tone-bad", "not all measured": "tone-open", "within tolerance": "tone-quiet",
  };
  const SEARCHED = ["model", "strategy", "status", "flag", "change", "out_of_tolerance", "reason", "note", "source"];
  const columnOf = Object.fromEntries(COLUMNS.map((column) => [column.key, column]));

  const state = { sort: null, down: false, page: 0, open: new Set(), filters: {}, words: [], found: [] };
  let haystack = null;

  function textOf(n) {
    haystack ??= Array.from({ length: count }, (_, row) =>
      SEARCHED.map((key) => rows[key][row] ?? "").concat(`run ${rows.run[row]}`).join("\n").toLowerCase(),
    );
    return haystack[n];
  }
  function matches(n) {
    for (const [key, wanted] of Object.entries(state.filters)) if (String(rows[key][n]) !== wanted) return false;
    return state.words.every((word) => textOf(n).includes(word));
  }
  // Rows without a value come last, whichever way is sorted; equal ones keep the order of the tables.
  function compare(one, other) {
    const [a, b] = [rows[state.sort][one], rows[state.sort][other]];
    if (a === null || b === null) return (a === null) - (b === null) || one - other;
    const order = typeof a === "number" ? a - b : collator.compare(a, b);
    return (state.down ? -order : order) || one - other;
  }
  function find() {
    state.found = [];
    for (let n = 0; n < count; n += 1) if (matches(n)) state.found.push(n);
    if (state.sort) state.found.sort(compare);
    state.page = 0;
    draw();
  }

  // ---- an opened row ----------------------------------------------------------------------------------------

  function conditions(n, place) {
    const outside = (rows.out_of_tolerance[n] ?? "").split(", ");
    const lines = rest.quantities.map(([key, name, unit]) => {
      const achieved = element("span", {}, digits(details[`${key}_achieved`][place]));
      if (outside.includes(key)) achieved.append(element("strong", { class: "tone-bad" }, " out of tolerance"));
      return [`${name} (${unit})`, shown(details[`${key}_requested`][place]), achieved];
    });
    return table("Conditions", ["Quantity", "Requested", "Achieved"], lines);
  }
  function terms(n, place) {
    const names = {
      t_update_ms: "t_update", t_initialisation_ms: "t_initialisation", t_exec_ms: "t_exec", t_switch_ms: "t_switch",
    };
    const has = Object.entries(names).filter(([key]) => details[key][place] !== null);
    const lines = [
      ["Downtime", duration(rows.downtime_ms[n])],
      ...has.map(([key, name]) => [`of it ${name}`, duration(details[key][place])]),
      ["of it outage: no frame accepted", duration(rows.outage_ms[n])],
      ["of it degraded: served on the old cut", duration(details.degraded_ms[place])],
      ["Service gap at the device", gap(n)],
    ];
    if (details.detection_ms[place] !== null) lines.push(["Before it: until noticed", duration(details.detection_ms[place])]);
    return table("Downtime", ["Part", "Took"], lines);
  }
  function work(place) {
    const lines = partsOf(place).map(([kind, tier, part, ms]) => [`${kind}, ${tier}: ${part.replaceAll("_", " ")}`, duration(ms)]);
    return lines.length ? table("What the tiers did meanwhile, each by its own clock", ["Work", "Took"], lines) : "";
  }
  function frames(place) {
    const counts = ["offered", "answered", "dropped_paused", "dropped_busy", "dropped_late", "dropped_lost", "dropped_failed"];
    const lines = rest.windows
      .filter(([key]) => details[`${key}_offered`][place] !== null)
      .map(([key, name]) => [name, ...counts.map((one) => shown(details[`${key}_${one}`][place]))]);
    return lines.length ? table("Frames", ["Window", ...counts.map((one) => one.replace("dropped_", ""))], lines) : "";
  }
  function files(n) {
    const source = rows.source[n];
    const address = (name) => [rest.to_results, ...`${source}/${name}`.split("/").map(encodeURIComponent)].join("/");
    const names = Object.hasOwn(rest.files, source) ? rest.files[source] : [];
    const list = element("ul", { class: "raw" }, element("li", {}, element("a", { href: address("") }, `${source}/`)));
    for (const name of names) list.append(element("li", {}, element("a", { href: address(name) }, name)));
    return element("div", {}, element("h3", {}, `Raw files: lines with "run":${rows.run[n]} are this run’s`), list);
  }
  function story(n, place) {
    const reason = rows.reason[n] ? ` (${rows.reason[n]})` : "";
    const said = [`${rows.model[n]}, ${rows.strategy[n]}, run ${rows.run[n]}: ${rows.status[n]}${reason}`];
    if (rows.note[n]) said.push(rows.note[n]);
    if (place === undefined) said.push("The page does not carry the details of this run; the tables and its raw files do");
    else {
      const [from, to] = [details.from_point[place], details.to_point[place]];
      if (from !== null && to !== null) said.push(from === to ? `The cut stays at point ${from}` : `From point ${from} to ${to}`);
      if (details.exit_code[place] !== null) said.push(`A program ended with exit code ${details.exit_code[place]}`);
      if (details.oom_kills[place]) said.push(`The kernel killed ${details.oom_kills[place]} for want of memory`);
      if (details.started_utc[place]) said.push(`Started ${details.started_utc[place]}`);
    }
    return element("p", {}, `${said.join(". ")}.`);
  }
  function opened(n) {
    const place = placeOfDetails.get(n);
    const blocks = place === undefined ? [] : [terms(n, place), work(place), conditions(n, place), frames(place)];
    const parts = [...blocks.filter(Boolean).map(scrolling), files(n)];
    const cell = element("td", { colspan: COLUMNS.length }, story(n, place), element("div", { class: "opened" }, ...parts));
    return element("tr", { id: `run-${n}`, class: "details" }, cell);
  }

  // ---- drawing ----------------------------------------------------------------------------------------------

  const body = document.getElementById("explore-rows");
  const said = document.getElementById("explore-said");
  const [previous, next] = ["previous", "next"].map((name) => document.getElementById(`explore-${name}`));

  function row(n) {
    const isOpen = state.open.has(n);
    const button = element(
      "button", { type: "button", "aria-expanded": isOpen, ...(isOpen ? { "aria-controls": `run-${n}` } : {}) }, rows.run[n],
    );
    button.setAttribute("aria-label", `Run ${rows.run[n]} of ${rows.model[n]}, ${rows.strategy[n]}: details`);
    button.dataset.row = n;
    const cells = COLUMNS.slice(1).map(({ key, number, show }) => {
      const value = show ? show(n) : shown(rows[key][n]);
      const cell = element("td", number ? { class: "number" } : {});
      if (key === "strategy") {
        const swatch = element("span", { class: "swatch" });
        swatch.style.setProperty("--swatch", `var(--${CSS.escape(value)}, var(--muted))`);
        cell.append(swatch);
      }
      cell.append(Object.hasOwn(TONES, value) ? element("span", { class: TONES[value] }, value) : value);
      return cell;
    });
    return [element("tr", {}, element("th", { scope: "row" }, button), ...cells), ...(isOpen ? [opened(n)] : [])];
  }
  function draw() {
    const pages = Math.max(1, Math.ceil(state.found.length / PAGE_ROWS));
    const first = state.page * PAGE_ROWS;
    const visible = state.found.slice(first, first + PAGE_ROWS);
    body.replaceChildren(...visible.flatMap(row));
    const many = state.found.length.toLocaleString("en-US");
    const which = visible.length ? `; shown are ${(first + 1).toLocaleString("en-US")} to ${(first + visible.length).toLocaleString("en-US")}` : "";
    const order = state.sort ? `, by ${columnOf[state.sort].label.toLowerCase()}, ${state.down ? "largest" : "smallest"} first` : "";
    said.textContent = `${many} of ${count.toLocaleString("en-US")} runs match${which}${order}.`;
    document.getElementById("explore-page").textContent = `Page ${state.page + 1} of ${pages}`;
    previous.disabled = state.page === 0;
    next.disabled = state.page >= pages - 1;
  }
  function toggle(n) {
    state.open.has(n) ? state.open.delete(n) : state.open.add(n);
    draw();
    body.querySelector(`button[data-row="${n}"]`).focus();
  }
  function turn(by) {
    state.page += by;
    draw();
    document.getElementById("explore-region").scrollIntoView({ block: "nearest" });
  }

  // ---- controls ---------------------------------------------------------------------------------------------

  function heading({ key, label, note, number }) {
    const button = element("button", { type: "button" }, label);
    if (note) button.append(" ", element("small", {}, note));
    const head = element("th", { scope: "col", "aria-sort": "none", ...(number ? { class: "number" } : {}) }, button);
    button.addEventListener("click", () => {
      const again = state.sort === key;
      state.down = again && !state.down;
      state.sort = again && !state.down ? null : key; // up, down, as it was
      for (const other of head.parentNode.children) other.setAttribute("aria-sort", "none");
      if (state.sort) head.setAttribute("aria-sort", state.down ? "descending" : "ascending");
      find();
    });
    return head;
  }
  function filter(key) {
    const values = [...new Set(rows[key])].sort((a, b) => (typeof a === "number" ? b - a : collator.compare(a, b)));
    const options = values.map((value) => element("option", { value: String(value) }, shown(value)));
    const select = element("select", { id: `explore-${key}` }, element("option", { value: "" }, "any"), ...options);
    select.addEventListener("change", () => {
      if (select.selectedIndex) state.filters[key] = select.value;
      else delete state.filters[key];
      find();
    });
    const { label, note } = columnOf[key];
    const name = element("label", { for: select.id }, `${label}${note ? `, ${note}` : ""}`);
    return element("div", { class: "field" }, name, select);
  }
  function csv() {
    const carried = Object.keys(packedRows);
    const more = Object.keys(packedDetails.columns);
    const quoted = (value) => {
      const text = value === null || value === undefined ? "" : String(value);
      return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    };
    const lines = state.found.map((n) => {
      const place = placeOfDetails.get(n);
      return [...carried.map((key) => rows[key][n]), ...more.map((key) => (place === undefined ? null : details[key][place]))];
    });
    return [[...carried, ...more], ...lines].map((line) => line.map(quoted).join(",")).join("\r\n") + "\r\n";
  }
  function save(name, kind, text) {
    const address = URL.createObjectURL(new Blob([text], { type: kind }));
    element("a", { href: address, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
  }

  const form = document.getElementById("explore-form");
  const search = document.getElementById("explore-search");
  document.getElementById("explore-filters").append(...FILTERS.map(filter));
  document.getElementById("explore-heads").append(...COLUMNS.map(heading));
  search.addEventListener("input", () => {
    state.words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    find();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => {
    Object.assign(state, { filters: {}, words: [] });
    find();
  });
  body.addEventListener("click", (event) => {
    if (event.target.closest("a, .details") || String(getSelection())) return;
    const button = event.target.closest("tr").querySelector("button[data-row]");
    toggle(Number(button.dataset.row));
  });
  previous.addEventListener("click", () => turn(-1));
  next.addEventListener("click", () => turn(1));
  document.getElementById("explore-save").addEventListener("click", () => save("runs.csv", "text/csv", csv()));
  app.hidden = false;
  for (const element of document.querySelectorAll(".without-script")) element.hidden = true;
  find();
})();
