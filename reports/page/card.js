/** The card of a row, in a dialog: the browser keeps the focus in it and gives it back. */

/** Open the card of a row. `onCompare` is called where the row is to be compared with another. */
function openCard(section, place, onCompare) {
  const row = section.rows[place];
  const card = section.cards[place];
  const dialog = document.getElementById("card");
  const close = () => dialog.close();
  const compare = () => {
    close();
    onCompare(place);
  };
  const comparable = section.pairs?.rows.includes(place);
  dialog.replaceChildren(
    el(
      "header",
      {},
      el("h2", { id: "card-name", tabindex: -1 }, row.label),
      comparable ? el("button", { type: "button", click: compare }, "Compare with …") : null,
      el("button", { type: "button", class: "close", click: close }, "Close"),
    ),
    ...cardParts(card),
  );
  // A click beside the dialog falls on its backdrop, which counts as the dialog itself.
  dialog.onclick = (event) => event.target === dialog && close();
  dialog.onclose = leaveCard;
  dialog.showModal();
  dialog.scrollTop = 0;
  dialog.querySelector("h2").focus();
}

/** The dialog takes the tooltip with it where that lies inside. */
function leaveCard() {
  hideTooltip();
  document.body.append(document.getElementById("tooltip"));
}

function cardParts(card) {
  return [
    part("", definitions(card.facts)),
    card.failures.length ? part("Failed runs", card.failures.map((text) => el("p", {}, text))) : null,
    card.scores.length ? part("Scores", scoreTable(card.scores), el("p", {}, card.standing)) : null,
    part("Examples", ...exampleImages(card)),
    card.runs.rows.length ? part("Runs", runTable(card.runs)) : null,
    card.curves.length ? part("Training", trainingCurves(card.curves)) : null,
    part("Provenance", definitions(card.provenance)),
  ].filter(Boolean);
}

function part(title, ...children) {
  if (!children.flat(Infinity).filter(Boolean).length) return null;
  return el("section", {}, title ? el("h3", {}, title) : null, children);
}

function scoreTable(scores) {
  const heads = ["Score", "Mean of runs", "With its 95 % interval"];
  return simpleTable(heads, scores.map(([title, value, interval]) => [title, value, interval || "–"]));
}

function runTable({ heads, rows }) {
  const shortened = rows.map((row) => [
    ...row.slice(0, -1),
    el("code", { title: row.at(-1) }, row.at(-1).slice(0, 12)),
  ]);
  return simpleTable(heads, shortened);
}

function simpleTable(heads, rows) {
  return el(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": heads.join(", ") },
    el(
      "table",
      { class: "plain" },
      el("thead", {}, el("tr", {}, heads.map((head) => el("th", { scope: "col" }, head)))),
      el(
        "tbody",
        {},
        rows.map(([first, ...rest]) =>
          el("tr", {}, el("th", { scope: "row" }, first), rest.map((cell) => el("td", {}, cell))),
        ),
      ),
    ),
  );
}

function exampleImages(card) {
  if (!card.images.length) return card.about_images ? [el("p", {}, card.about_images)] : [];
  const pictures = card.images.map(({ src, which, image, dice }) => {
    const caption = `${which}: ${image}, Dice ${(100 * dice).toFixed(2)} %`;
    const alt = `${image} with the outlines of truth and prediction`;
    return el("figure", {}, el("img", { src, alt }), el("figcaption", {}, caption));
  });
  const legend = el(
    "p",
    { class: "legend" },
    el("span", { class: "truth" }, "truth"),
    el("span", { class: "prediction" }, "prediction"),
    card.about_images,
  );
  return [el("div", { class: "examples" }, pictures), legend];
}
