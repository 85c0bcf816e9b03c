/** A table: its rows as the report has them, sorted on request. */

/**
 * Build a table.
 *
 * `open(place)` is called for a row whose card is wanted; rows without a card can't be opened.
 * Returns the whole element, `rows` by their place in the report, `announce` for what a screen
 * reader should hear, and `select(place)`, which marks a row and moves the focus to it.
 */
function leaderboard(section, open) {
  const rows = section.rows.map((row, place) => tableRow(section, row, place, open));
  const body = el("tbody", {}, rows);
  const status = el("p", { class: "hidden", role: "status" });
  const announce = (text) => (status.textContent = text);
  const heading = `${section.id}-title`;
  const table = el(
    "table",
    { class: "leaderboard", "aria-labelledby": heading, "aria-describedby": `${section.id}-caption` },
    el("thead", {}, el("tr", {}, heads(section, body, rows, announce))),
    body,
  );
  // A region that scrolls must be reachable, or the keyboard can't scroll it.
  const scroll = el(
    "div",
    { class: "scroll", role: "region", tabindex: 0, "aria-labelledby": heading },
    table,
  );
  const select = (place) => {
    rows.forEach((row, own) => row.classList.toggle("selected", own === place));
    (rows[place].querySelector("button") ?? rows[place]).focus({ preventScroll: true });
    rows[place].scrollIntoView({ block: "center", inline: "nearest" });
  };
  return { element: el("div", {}, scroll, status), rows, select, announce };
}

function tableRow(section, row, place, open) {
  const opens = Boolean(section.cards?.[place]);
  const name = opens
    ? el("button", { type: "button", class: "name", "aria-haspopup": "dialog" }, row.label)
    : row.label;
  const marks = row.notes.length ? el("sup", {}, row.notes.join(",")) : null;
  return el(
    "tr",
    {
      class: [row.status.startsWith("done") ? "" : "aside", opens ? "opens" : ""].join(" ").trim(),
      click: () => opens && !String(getSelection()) && open(place),
    },
    section.ranked ? el("td", { class: "rank" }, row.rank === null ? "" : String(row.rank)) : null,
    el("th", { scope: "row" }, name, marks),
    row.cells.map((cell, column) => tableCell(cell, section.columns[column])),
  );
}

/** A cell; spread or interval stand back behind the value. */
function tableCell([text, , mark], column) {
  if (column.text) return el("td", { class: "text" }, text);
  const [value, ...rest] = text.split(/ (?=[±[])/u);
  const shown =
    mark === "best" ? el("strong", {}, value) : mark === "second" ? el("u", {}, value) : value;
  return el("td", {}, shown, rest.length ? el("span", { class: "spread" }, ` ${rest.join(" ")}`) : null);
}

/** The head: every column can be sorted by, the first click showing its better end first. */
function heads(section, body, rows, announce) {
  const places = rows.map((_, place) => place);
  const columns = [
    ...(section.ranked ? [{ head: "#", spoken: "the report's order", value: (place) => place }] : []),
    { head: section.label, text: true, value: (place) => section.rows[place].label.toLowerCase() },
    ...section.columns.map((column, index) => ({
      ...column,
      value: (place) => section.rows[place].cells[index][1],
    })),
  ];
  const cells = columns.map((column) => {
    const sortIt = () => {
      const before = cell.getAttribute("aria-sort");
      const descending = before ? before === "ascending" : column.higher === true;
      cells.forEach((each) => each.removeAttribute("aria-sort"));
      cell.setAttribute("aria-sort", descending ? "descending" : "ascending");
      body.append(...sorted(places, column.value, descending).map((place) => rows[place]));
      const name = column.spoken ?? column.head;
      announce(`Sorted by ${name}, ${descending ? "descending" : "ascending"}.`);
    };
    const cell = el(
      "th",
      { scope: "col", class: column.text ? "text" : "", "aria-sort": column.head === "#" && "ascending" },
      el("button", { type: "button", click: sortIt }, column.head),
    );
    return cell;
  });
  return cells;
}

/** Places in the order of their values; places without a value stay last either way. */
function sorted(places, value, descending) {
  const sign = descending ? -1 : 1;
  return [...places].sort((one, other) => {
    const [a, b] = [value(one), value(other)];
    if (a === null || b === null) return (a === null) - (b === null) || one - other;
    return sign * (a < b ? -1 : a > b ? 1 : 0) || one - other;
  });
}

/** Caption, footnotes and notes, as under a printed table. */
function tableNotes(section) {
  return el(
    "div",
    { class: "notes" },
    el("p", { id: `${section.id}-caption` }, section.caption),
    section.footnotes.map(([letter, note]) =>
      el("p", { class: "note" }, el("sup", {}, letter), ` ${note}`),
    ),
    section.notes.map((note) => el("p", { class: "note" }, note)),
  );
}
