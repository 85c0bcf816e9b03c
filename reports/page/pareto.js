/** Dice against what a network costs, with the line of those that no other beats in both. */

const LETTER = 6.1; // width of a letter of 11 px, on the safe side

/**
 * Build the plot. `onSelect(place)` is called for a point that is chosen, `onAxis(axis)` when the
 * cost is: at once, and whenever another one is chosen.
 */
function paretoPlot(section, onSelect, onAxis) {
  const { axes: costs, error } = section.pareto;
  let axis = costs[0];
  let width = 0;
  const holder = el("div", { class: "drawing" });
  const redraw = () => width && holder.replaceChildren(drawPareto(section, axis, width, onSelect));
  const choose = (key) => {
    axis = costs.find((each) => each.key === key);
    onAxis(axis);
    redraw();
  };
  const box = selectBox("Dice against", costs.map(({ key, title }) => [key, title]), axis.key, choose);
  drawnToWidth(holder, (now) => {
    width = now;
    redraw();
  });
  onAxis(axis);
  return el(
    "figure",
    { class: "pareto" },
    el("div", { class: "filters" }, box.element),
    holder,
    el(
      "figcaption",
      {},
      `Bars are the ${error}. The line joins the networks that no other beats in both; hollow `,
      "points are not ranked.",
      el("span", { class: "hint" }, " Arrow keys move between the points, Enter selects a row."),
    ),
  );
}

function drawPareto(section, axis, width, onSelect) {
  const points = paretoPoints(section, axis);
  const height = Math.max(270, Math.min(440, width * 0.6));
  const box = { left: 46, right: width - 12, top: 24, bottom: height - 42 };
  const values = points.map((point) => point.cost);
  const x = logarithmic([Math.min(...values) / 1.5, Math.max(...values) * 1.5], [box.left, box.right]);
  const [low, high] = padded(points.flatMap((point) => [point.low, point.high]), 0.06);
  const y = linear([low, high], [box.bottom, box.top]);
  for (const point of points) Object.assign(point, { x: x(point.cost), y: y(point.height) });
  const trivial = trivialLine(section, box, y, [low, high]);
  const groups = points.map((point) => paretoPoint(point, y, onSelect));
  rove(groups);
  return canvas(
    width,
    height,
    { role: "group", "aria-label": `${section.pareto.title} against ${axis.title}` },
    axes(box, {
      x,
      y,
      xTicks: logTicks(Math.min(...values) / 1.5, Math.max(...values) * 1.5, width / 60),
      yTicks: linearTicks(low, high),
      xTitle: axis.title,
      yTitle: section.pareto.title,
    }),
    trivial?.element,
    frontLine(points, axis.front),
    groups,
    pointLabels(points, box, trivial ? [trivial.label] : []),
  );
}

/** The rows that have both numbers, by their cost. */
function paretoPoints(section, axis) {
  const { heights } = section.pareto;
  return section.rows
    .map((row, place) => ({ row, place, cost: axis.values[place], shown: axis.shown[place] }))
    .filter(({ place, cost }) => cost && heights[place])
    .map((point) => {
      const [height, low, high] = heights[point.place];
      return { ...point, height, low, high, best: axis.front.includes(point.place) };
    })
    .sort((one, other) => one.cost - other.cost || one.place - other.place);
}

function paretoPoint(point, y, onSelect) {
  const lines = [point.row.label, `Dice ${point.height.toFixed(2)} %`, point.shown];
  if (point.low < point.high) {
    lines[1] += `, ${fixed(point.low, 2)} to ${fixed(point.high, 2)}`;
  }
  if (point.row.rank !== null) lines.push(`rank ${point.row.rank}`);
  const kind = point.row.rank === null ? "hollow" : point.best ? "best" : "";
  const group = svg(
    "g",
    {
      class: `point ${kind}`.trim(),
      role: "button",
      "aria-label": lines.join(", "),
      click: () => onSelect(point.place),
      keydown: (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        onSelect(point.place);
      },
    },
    svg("line", { class: "error", x1: point.x, x2: point.x, y1: y(point.low), y2: y(point.high) }),
    svg("circle", { class: "target", cx: point.x, cy: point.y, r: 11 }),
    svg("circle", { class: "dot", cx: point.x, cy: point.y, r: 4.5 }),
  );
  return withTooltip(group, lines);
}

function frontLine(points, front) {
  const line = points.filter((point) => front.includes(point.place));
  const path = line.map((point, place) => `${place ? "L" : "M"}${point.x} ${point.y}`).join("");
  return svg("path", { class: "front", d: path, "aria-hidden": "true" });
}

/** The best predictor that needs no training, where it lies within the plot, and its name's box. */
function trivialLine(section, box, y, [low, high]) {
  const found = section.rows
    .map((row, place) => ({ row, value: section.pareto.heights[place]?.[0] }))
    .filter(({ row, value }) => row.status === "trivial" && value >= low && value <= high)
    .sort((one, other) => other.value - one.value);
  if (!found.length) return null;
  const [{ row, value }] = found;
  const height = y(value);
  const element = svg(
    "g",
    { class: "trivial" },
    svg("line", { x1: box.left, x2: box.right, y1: height, y2: height }),
    svg("text", { x: box.left + 4, y: height - 5 }, row.label),
  );
  const right = box.left + 4 + row.label.length * LETTER;
  return { element, label: { left: box.left + 4, right, top: height - 16, bottom: height } };
}

/** Names beside their points where they hide nothing; those on the front first. */
function pointLabels(points, box, others) {
  const dots = points.map(({ x, y }) => ({ left: x - 6, right: x + 6, top: y - 6, bottom: y + 6 }));
  const taken = [...dots, ...others];
  const order = [...points].sort((one, other) => other.best - one.best || one.place - other.place);
  const labels = [];
  for (const point of order) {
    const wide = point.row.label.length * LETTER;
    const places = [
      { left: point.x + 9, top: point.y - 7 },
      { left: point.x - 9 - wide, top: point.y - 7 },
      { left: point.x - wide / 2, top: point.y - 22 },
      { left: point.x - wide / 2, top: point.y + 8 },
    ].map(({ left, top }) => ({ left, top, right: left + wide, bottom: top + 13 }));
    const free = places.find((place) => fits(place, box) && !taken.some((each) => meet(each, place)));
    if (!free) continue;
    taken.push(free);
    const kind = point.best ? "label best" : "label";
    labels.push(svg("text", { class: kind, x: free.left, y: free.top + 10.5 }, point.row.label));
  }
  return svg("g", { "aria-hidden": "true" }, labels);
}

function fits(place, box) {
  const { left, right, top, bottom } = place;
  return left >= box.left && right <= box.right && top >= box.top && bottom <= box.bottom;
}

function meet(one, other) {
  return (
    one.left < other.right &&
    other.left < one.right &&
    one.top < other.bottom &&
    other.top < one.bottom
  );
}
