/** The page: its tables in their order, the theme, the list of contents. */

function start() {
  const data = JSON.parse(document.getElementById("data").textContent);
  const sections = data.sections.map(buildSection);
  document.getElementById("main").append(...sections);
  if (sections.length > 1) {
    const links = data.sections.map(({ id, title }) => el("li", {}, el("a", { href: `#${id}` }, title)));
    document.getElementById("contents").append(el("ul", {}, links));
  }
  if (data.unusable.length) {
    document.getElementById("unusable").append(
      el("h2", {}, "Files that could not be used"),
      el("ul", {}, data.unusable.map((text) => el("li", {}, text))),
    );
  }
  document.getElementById("theme").addEventListener("click", switchTheme);
  showTheme();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTheme);
  document.addEventListener("scroll", placeTooltip, { capture: true, passive: true });
  document.addEventListener("keydown", (event) => event.key === "Escape" && hideTooltip());
}

/** A table; a leaderboard has its plot, its cards and its pairs as well. */
function buildSection(section) {
  const pairs = section.pairs ? comparison(section) : null;
  const open = (place) => openCard(section, place, pairs?.choose);
  const table = leaderboard(section, open);
  const filters = filterControls(section, table);
  const selectRow = (place) => {
    hideTooltip();
    filters.reveal(place);
    table.select(place);
    table.announce(`${section.rows[place].label} is selected.`);
  };
  const plot = section.pareto
    ? paretoPlot(section, selectRow, (axis) => filters.setFront(axis.front, axis.title))
    : null;
  return el(
    "section",
    { class: "comparison", id: section.id, "aria-labelledby": `${section.id}-title` },
    el("h2", { id: `${section.id}-title` }, section.title),
    filters.element,
    table.element,
    tableNotes(section),
    plot || pairs ? el("div", { class: "beside" }, plot, pairs?.element) : null,
    section.settings ? sharedSettings(section) : null,
  );
}

/** What all rows have in common. */
function sharedSettings(section) {
  return el(
    "details",
    {},
    el("summary", {}, "Data and protocol"),
    section.skipped.map((text) => el("p", {}, text)),
    definitions(section.settings),
  );
}

/** Dark or light: what was chosen here, else what the system prefers. */
function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function switchTheme() {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  showTheme();
}

function showTheme() {
  document.getElementById("theme").setAttribute("aria-pressed", String(isDark()));
}

start();
