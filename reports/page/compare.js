/** Two rows beside each other, by the numbers that `covbench compare` gives. */

/**
 * Build the comparison of two rows. Returns its element, and `choose(place)`, which sets a row
 * against the best one and moves the focus to the choice of the other.
 */
function comparison(section) {
  const { rows, metrics } = section.pairs;
  const order = [...rows].sort((one, other) => one - other); // as in the table
  const chosen = { first: order[0], second: order[1], metric: metrics[0] };
  const result = el("div", { class: "result", role: "status" });
  const dots = el("div", { class: "drawing" });
  const draw = () => {
    const found = pairOf(section, chosen);
    result.replaceChildren(...verdict(section, chosen, found));
    dots.replaceChildren();
    if (found && dots.clientWidth) dots.append(drawDifferences(chosen, found, dots.clientWidth));
  };
  const names = order.map((place) => [String(place), section.rows[place].label]);
  const set = (what) => (value) => {
    chosen[what] = Number(value);
    draw();
  };
  const first = selectBox("A", names, String(chosen.first), set("first"));
  const second = selectBox("B", names, String(chosen.second), set("second"));
  const metric = selectBox("Metric", metricNames(metrics), metrics[0].key, (key) => {
    chosen.metric = metrics.find((each) => each.key === key);
    draw();
  });
  const put = (one, other) => {
    Object.assign(chosen, { first: one, second: other });
    first.select.value = String(one);
    second.select.value = String(other);
    draw();
  };
  const swap = el(
    "button",
    { type: "button", class: "control", click: () => put(chosen.second, chosen.first) },
    "Swap",
  );
  const element = el(
    "section",
    { class: "compare", "aria-label": "Compare two rows" },
    el("h3", {}, "Two rows compared"),
    el("div", { class: "filters" }, first.element, second.element, metric.element, swap),
    result,
    dots,
  );
  drawnToWidth(dots, draw);
  const choose = (place) => {
    put(place, place === order[0] ? order[1] : order[0]);
    element.scrollIntoView({ block: "nearest" });
    second.select.focus();
  };
  return { element, choose };
}

function metricNames(metrics) {
  return metrics.map(({ key, title, over, unit }) => [key, `${title} (${unit}), mean over ${over}`]);
}

/**
 * The numbers of a pair, first minus second, with the differences of the units that both have;
 * null where there are none. Pairs are stored once, the earlier row first.
 */
function pairOf(section, { first, second, metric }) {
  const { rows } = section.pairs;
  const [i, j] = [rows.indexOf(first), rows.indexOf(second)];
  if (i === j) return null;
  const [a, b] = [Math.min(i, j), Math.max(i, j)];
  const stored = metric.pairs[(a * (2 * rows.length - a - 1)) / 2 + (b - a - 1)];
  if (!stored) return null;
  const [n, difference, low, high, chance, told, ...means] = stored;
  const [one, other] = [means.slice(0, 3), means.slice(3)];
  const units = metric.names
    .map((name, k) => ({ name, one: metric.values[i][k], other: metric.values[j][k] }))
    .filter((unit) => unit.one !== null && unit.other !== null)
    .map((unit) => ({ ...unit, difference: unit.one - unit.other }));
  return i < j
    ? { n, difference, low, high, chance, told, one, other, units }
    : { n, difference: -difference, low: -high, high: -low, chance: 1 - chance, told: -told,
        one: other, other: one, units };
}

function verdict(section, chosen, found) {
  const [a, b] = [chosen.first, chosen.second].map((place) => section.rows[place].label);
  if (!found) {
    const why = a === b ? "Choose two different rows." : "They share too few scores.";
    return [el("p", {}, why)];
  }
  const { metric } = chosen;
  const span = `${fixed(found.low, 2)} to ${fixed(found.high, 2)}`;
  const told =
    found.told === 0
      ? "The interval holds 0: these data don’t tell which is better."
      : `${found.told > 0 ? a : b} is better.`;
  const mean = ([value, low, high]) => `${fixed(value, 2)} [${fixed(low, 2)}, ${fixed(high, 2)}]`;
  return [
    el("p", { class: "told" }, told),
    definitions([
      [`A: ${a}`, `${mean(found.one)} ${metric.unit}`],
      [`B: ${b}`, `${mean(found.other)} ${metric.unit}`],
      ["A − B", `${fixed(found.difference, 2)} ${metric.step}, 95 % interval ${span}`],
      ["P(A better)", found.chance.toFixed(3)],
    ]),
    el(
      "p",
      { class: "note" },
      `Paired bootstrap over ${found.n} ${metric.units}, 10,000 resamples: about new `,
      `${metric.units}, for the networks as they were trained, and for a pair that was chosen `,
      "beforehand, since of many pairs some differ by chance.",
      ...(section.pairs.command ? command(a, b, metric) : []),
    ),
  ];
}

function command(a, b, metric) {
  const words = `covbench compare ${quoted(a)} ${quoted(b)} --metric ${metric.key}`;
  return [" With test and effect size: ", el("code", {}, words)];
}

/** A row's name as a shell takes it. */
function quoted(name) {
  return /^[\w:./-]+$/u.test(name) ? name : `'${name.replaceAll("'", "'\\''")}'`;
}

/** A dot for each unit's difference; below them the mean with its interval. */
function drawDifferences({ metric }, found, width) {
  const ends = [...found.units.map((unit) => unit.difference), found.low, found.high, 0];
  const box = { left: 12, right: width - 12, top: 24, bottom: 0 };
  const [low, high] = padded(ends, 0.04);
  const x = linear([low, high], [box.left, box.right]);
  const placed = stacked([...found.units].sort((a, b) => a.difference - b.difference), x);
  const highest = Math.max(...placed.map((unit) => unit.level));
  const ground = box.top + 8 + 9 * highest;
  box.bottom = ground + 34;
  const dots = placed.map((unit) => differenceDot(unit, ground, metric));
  rove(dots);
  return canvas(
    width,
    box.bottom + 42,
    { role: "group", "aria-label": `Differences of the ${found.units.length} ${metric.units}` },
    axes(box, {
      x,
      xTicks: linearTicks(low, high, Math.max(3, width / 90)),
      xTitle: `${metric.title}, A − B (${metric.step})`,
      yTitle: `each of ${found.units.length} ${metric.units}; below, the mean with its interval`,
    }),
    svg("line", { class: "zero", x1: x(0), x2: x(0), y1: box.top, y2: box.bottom }),
    dots,
    svg("line", { class: "interval", x1: x(found.low), x2: x(found.high), y1: ground + 20, y2: ground + 20 }),
    svg("circle", { class: "mean", cx: x(found.difference), cy: ground + 20, r: 5 }),
  );
}

/** Each unit's place along the axis, and how many dots it lies above the lowest. */
function stacked(units, x) {
  const ends = []; // by level, the place of the last dot on it
  return units.map((unit) => {
    const place = x(unit.difference);
    let level = ends.findIndex((last) => place - last >= 9);
    if (level < 0) level = ends.length;
    ends[level] = place;
    return { ...unit, place, level };
  });
}

function differenceDot({ name, one, other, difference, place, level }, ground, metric) {
  const lines = [
    name,
    `A − B: ${fixed(difference, 2)} ${metric.step}`,
    `A ${fixed(one, 2)}, B ${fixed(other, 2)} ${metric.unit}`,
  ];
  const dot = svg("circle", {
    class: "unit", cx: place, cy: ground - 9 * level, r: 4, role: "img", "aria-label": lines.join(", "),
  });
  return withTooltip(dot, lines);
}
