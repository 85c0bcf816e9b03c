/** What is shown of a table: rows of a name, of a status, on the Pareto front. */

/**
 * The controls above a table. Returns them; `setFront(places, title)`, by which the plot says
 * which rows are on the front that it shows; and `reveal(place)`, which shows a row in any case.
 */
function filterControls(section, table) {
  const state = { text: "", hidden: new Set(), frontOnly: false, front: [] };
  const count = el("output", { class: "count" });
  const recount = () => {
    const all = table.rows.length;
    const shown = table.rows.filter((row) => !row.hidden).length;
    count.textContent = shown === all ? `${all} rows` : `${shown} of ${all} rows`;
  };
  const apply = () => {
    table.rows.forEach((row, place) => (row.hidden = !passes(section.rows[place], place, state)));
    recount();
  };
  const front = checkbox("Pareto front", false, (on) => {
    state.frontOnly = on;
    apply();
  });
  const element = el(
    "div",
    { class: "filters", role: "group", "aria-label": "Filter the rows" },
    searchBox((text) => {
      state.text = text.trim().toLowerCase();
      apply();
    }),
    statusBoxes(section, state, apply),
    section.pareto ? front.element : null,
    count,
  );
  const setFront = (places, title) => {
    state.front = places;
    front.text.textContent = `Pareto front (Dice, ${title.toLowerCase()})`;
    apply();
  };
  const reveal = (place) => {
    table.rows[place].hidden = false;
    recount();
  };
  apply();
  return { element, setFront, reveal };
}

function passes(row, place, state) {
  return (
    row.label.toLowerCase().includes(state.text) &&
    !state.hidden.has(kindOf(row)) &&
    (!state.frontOnly || state.front.includes(place))
  );
}

/** The status without what stands in brackets: `failed (out of memory)` is `failed`. */
function kindOf(row) {
  return row.status.split(" (")[0];
}

function searchBox(onInput) {
  const input = el("input", { type: "search", input: () => onInput(input.value) });
  return el("label", { class: "control" }, el("span", {}, "Filter"), input);
}

/** A box for each status, where there are several. */
function statusBoxes(section, state, apply) {
  const kinds = [...new Set(section.rows.map(kindOf))];
  if (kinds.length < 2) return [];
  return kinds.map((kind) => {
    const onChange = (on) => {
      if (on) state.hidden.delete(kind);
      else state.hidden.add(kind);
      apply();
    };
    return checkbox(kind === "done" ? "complete" : kind, true, onChange).element;
  });
}

function checkbox(label, checked, onChange) {
  const input = el("input", { type: "checkbox", checked, change: () => onChange(input.checked) });
  const text = el("span", {}, label);
  return { element: el("label", { class: "control check" }, input, text), text };
}
