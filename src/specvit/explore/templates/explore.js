
"use strict";
(() => {
const NULL = 65535, ROW = 28, FAR = 0.05, PAD = 46, REACH = 14;
const $ = (id) => document.getElementById(id);
const data = JSON.parse($("data").textContent);
const count = data.ids.length;

// ---- What the page carries -------------------------------------------------------------------
function bytes(text) {
  const raw = atob(text), out = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
  return out.buffer;
}
function unpack(column) {
  const values = new (column.type === "f4" ? Float32Array : Uint16Array)(bytes(column.data));
  return { values, labels: column.labels };
}
function unpackAll(columns) {
  return Object.fromEntries(Object.entries(columns).map(([name, c]) => [name, unpack(c)]));
}
const columns = unpackAll(data.columns);
const models = data.models.map((model) => ({ title: model.title, columns: unpackAll(model.columns) }));
const waves = unpack(data.waves).values;
const classes = data.tasks.find((task) => task.kind === "classification");
const redshift = data.tasks.find((task) => task.kind === "redshift");
const lowered = data.ids.map((id) => id.toLowerCase());
const nothing = new Float32Array(count).fill(NaN);

function label(column, i) {
  const place = column.values[i];
  return place === NULL ? "" : column.labels[place];
}
function number(value, digits) {
  if (!Number.isFinite(value)) return "";
  // Adding 0 turns -0 into 0.
  return (Number(value.toFixed(digits)) + 0).toFixed(digits).replace("-", "\u2212");
}

// ---- The chosen model: how wrong and how sure ------------------------------------------------
function wrongAnswers(model, task) {
  const out = new Uint8Array(count);
  const said = model.columns[`${task.name}_pred`], truth = columns[`${task.name}_true`];
  if (!said || task.kind === "regression") return out;
  for (let i = 0; i < count; i++) {
    if (task.kind === "redshift") {
      const z = truth.values[i];
      out[i] = !Number.isNaN(z) && !(Math.abs((said.values[i] - z) / (1 + z)) <= FAR) ? 1 : 0;
    } else {
      out[i] = truth.values[i] !== NULL && label(truth, i) !== label(said, i) ? 1 : 0;
    }
  }
  return out;
}
function judged(model) {
  const wrong = Object.fromEntries(data.tasks.map((task) => [task.name, wrongAnswers(model, task)]));
  const any = new Uint8Array(count), dz = nothing.slice();
  for (const each of Object.values(wrong)) for (let i = 0; i < count; i++) any[i] |= each[i];
  const said = redshift && model.columns[`${redshift.name}_pred`];
  if (said) {
    const truth = columns[`${redshift.name}_true`].values;
    for (let i = 0; i < count; i++) dz[i] = (said.values[i] - truth[i]) / (1 + truth[i]);
  }
  const sure = classes && model.columns[`${classes.name}_sure`];
  return { ...model, wrong, any, dz, sure: sure ? sure.values : nothing, said: said ? said.values : nothing };
}
let model = judged(models[0]);

// ---- Filters ---------------------------------------------------------------------------------
let kept = new Uint8Array(count), order = new Int32Array(0), chosen = -1, sortBy = 0, falling = false;

function within(key, values, absolute) {
  if (!$(`${key}-min`)) return;
  const ends = ["min", "max"].map((end) => $(`${key}-${end}`).value);
  if (ends[0] === "" && ends[1] === "") return;
  const low = ends[0] === "" ? -Infinity : Number(ends[0]);
  const high = ends[1] === "" ? Infinity : Number(ends[1]);
  for (let i = 0; i < count; i++) {
    const value = absolute ? Math.abs(values[i]) : values[i];
    if (!(value >= low && value <= high)) kept[i] = 0;
  }
}
function among(key) {
  const boxes = [...document.getElementsByName(key)];
  if (boxes.every((box) => box.checked)) return;
  const wanted = new Uint8Array(NULL + 1), values = columns[key].values;
  for (const box of boxes) wanted[Number(box.value)] = box.checked ? 1 : 0;
  for (let i = 0; i < count; i++) kept[i] &= wanted[values[i]];
}
function answered() {
  const wanted = $("answer").value;
  if (wanted === "") return;
  const wrong = wanted === "right" ? model.any : model.wrong[wanted], keep = wanted === "right" ? 0 : 1;
  for (let i = 0; i < count; i++) if (wrong[i] !== keep) kept[i] = 0;
}
function filter() {
  kept.fill(1);
  $("tip").hidden = true;
  among("class");
  among("survey");
  within("z", columns.z.values);
  within("snr", columns.snr.values);
  within("sure", model.sure);
  within("dz", model.dz, true);
  answered();
  const text = $("name").value.trim().toLowerCase();
  if (text) for (let i = 0; i < count; i++) if (!lowered[i].includes(text)) kept[i] = 0;
  let left = 0;
  for (let i = 0; i < count; i++) left += kept[i];
  order = new Int32Array(left);
  for (let i = 0, at = 0; i < count; i++) if (kept[i]) order[at++] = i;
  $("count").textContent = `${left.toLocaleString("en")} of ${count.toLocaleString("en")} spectra`;
  sort();
  drawMap();
}

// ---- Table: only the rows in sight are in the document ---------------------------------------
const answerOf = (task) => model.columns[`${task.name}_pred`];
const heads = [
  { title: "Spectrum", text: (i) => data.ids[i], key: (i) => i },
  { title: "Survey", text: (i) => label(columns.survey, i), key: (i) => columns.survey.values[i] },
  { title: "S/N", num: true, text: (i) => number(columns.snr.values[i], 1), key: (i) => columns.snr.values[i] },
  { title: "Class", text: (i) => label(columns.class, i), key: (i) => columns.class.values[i] },
];
if (classes) {
  heads.push(
    { title: "Answer", text: (i) => (answerOf(classes) ? label(answerOf(classes), i) : ""), bad: (i) => model.wrong[classes.name][i],
      key: (i) => (answerOf(classes) ? answerOf(classes).values[i] : 0) },
    { title: "Confidence", num: true, text: (i) => number(model.sure[i], 3), key: (i) => model.sure[i] });
}
heads.push({ title: "z", num: true, text: (i) => number(columns.z.values[i], 4), key: (i) => columns.z.values[i] });
if (redshift) {
  heads.push(
    { title: "z answer", num: true, text: (i) => number(model.said[i], 4), bad: (i) => model.wrong[redshift.name][i], key: (i) => model.said[i] },
    { title: "Δz", num: true, text: (i) => number(model.dz[i], 4), key: (i) => Math.abs(model.dz[i]) });
}
const list = $("list"), table = list.querySelector("table"), body = table.tBodies[0];

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}
function sort() {
  if (sortBy || falling) {
    const keys = new Float64Array(count), sign = falling ? -1 : 1;
    for (let i = 0; i < count; i++) keys[i] = kept[i] ? heads[sortBy].key(i) : 0;
    // What has no value stands last, whichever way it goes.
    order.sort((a, b) => {
      const missing = Number.isNaN(keys[a]) - Number.isNaN(keys[b]);
      return missing || sign * (keys[a] - keys[b]) || a - b;
    });
  } else order.sort();
  table.setAttribute("aria-rowcount", order.length + 1);
  [...table.tHead.rows[0].cells].forEach((cell, k) => {
    cell.setAttribute("aria-sort", k !== sortBy ? "none" : falling ? "descending" : "ascending");
    cell.firstChild.textContent = heads[k].title + (k !== sortBy ? "" : falling ? " ▾" : " ▴");
  });
  showRows();
}
function gap(rows) {
  const row = element("tr", undefined, "gap"), cell = element("td");
  cell.colSpan = heads.length;
  cell.style.height = `${rows * ROW}px`;
  row.setAttribute("aria-hidden", "true");
  row.append(cell);
  return row;
}
function showRows() {
  const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 2);
  const last = Math.min(order.length, first + Math.ceil(list.clientHeight / ROW) + 4);
  const rows = [gap(first)];
  for (let at = first; at < last; at++) {
    const i = order[at], row = element("tr");
    row.dataset.row = i;
    row.setAttribute("aria-rowindex", at + 2);
    row.setAttribute("aria-selected", i === chosen);
    for (const head of heads) {
      const bad = head.bad && head.bad(i);
      row.append(element("td", head.text(i), (head.num ? "num" : "") + (bad ? " bad" : "")));
    }
    rows.push(row);
  }
  rows.push(gap(order.length - Math.max(last, first)));
  body.replaceChildren(...rows);
}
function reveal() {
  const at = order.indexOf(chosen), top = at * ROW;
  if (at < 0) return;
  if (top < list.scrollTop) list.scrollTop = top;
  else if (top + 3 * ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + 3 * ROW - list.clientHeight;
}
function step(event) {
  const page = Math.max(1, Math.floor(list.clientHeight / ROW) - 2);
  const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -count, End: count };
  if (!(event.key in moves) || event.target !== list || !order.length) return;
  event.preventDefault();
  const at = order.indexOf(chosen);
  const next = at < 0 ? 0 : Math.min(order.length - 1, Math.max(0, at + moves[event.key]));
  choose(order[next]);
}

// ---- Map: points in two columns --------------------------------------------------------------
const axes = {
  x: { title: "1st principal component of the ViT's embedding", of: () => columns.x.values },
  y: { title: "2nd principal component", of: () => columns.y.values },
  z: { title: "Redshift", of: () => columns.z.values, scale: Math.log1p, ticks: [0, 0.1, 0.2, 0.5, 1, 1.5, 2, 3, 4, 6, 8] },
  said: { title: "Redshift answered", of: () => model.said, scale: Math.log1p, ticks: [0, 0.1, 0.2, 0.5, 1, 1.5, 2, 3, 4, 6, 8] },
  snr: { title: "S/N", of: () => columns.snr.values, scale: Math.log10, ticks: [0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000] },
  sure: { title: "Confidence of class", of: () => model.sure },
};
const placed = columns.x.values.some(Number.isFinite);
const views = [
  placed && { title: "Map of the embedding (PCA)", x: axes.x, y: axes.y },
  redshift && { title: "Redshift: answer against truth", x: axes.z, y: axes.said },
  classes && { title: "Confidence against S/N", x: axes.snr, y: axes.sure },
  { title: "S/N against redshift", x: axes.z, y: axes.snr },
].filter(Boolean);
const canvas = $("map"), paint = canvas.getContext("2d", { willReadFrequently: true });
const names = columns.class.labels, pointX = new Float32Array(count), pointY = new Float32Array(count);
const SHAPES = { STAR: "star", QSO: "diamond", NONE: "square" };

function sprite(name, wrong, pale) {
  const ratio = window.devicePixelRatio || 1, size = 12, made = document.createElement("canvas");
  made.width = made.height = Math.ceil(size * ratio);
  const on = made.getContext("2d", { willReadFrequently: true }), shape = SHAPES[name], r = 3.4;
  on.scale(ratio, ratio);
  on.translate(size / 2, size / 2);
  on.beginPath();
  if (shape === "diamond") { on.moveTo(0, -r - 1); on.lineTo(r, 0); on.lineTo(0, r + 1); on.lineTo(-r, 0); }
  else if (shape === "square") on.rect(-r + 0.5, -r + 0.5, 2 * r - 1, 2 * r - 1);
  else if (shape === "star") {
    for (let k = 0; k < 10; k++) {
      const a = (k * Math.PI) / 5 - Math.PI / 2, d = k % 2 ? 2 : r + 1.4;
      on.lineTo(d * Math.cos(a), d * Math.sin(a));
    }
  } else on.arc(0, 0, r - 0.4, 0, 7);
  on.closePath();
  on.globalAlpha = pale ? 0.35 : wrong ? 1 : 0.75;
  on.fillStyle = pale ? "#cfcabd" : data.colours[name] || "#5b646e";
  on.fill();
  if (wrong && !pale) { on.lineWidth = 1.4; on.strokeStyle = "#1b1f24"; on.stroke(); }
  return made;
}
// Ten thousand marks are stamped into the pixels themselves: to draw images takes ten times as long.
function stamp(made) {
  const { data: pixels, width } = made.getContext("2d").getImageData(0, 0, made.width, made.height), parts = [];
  for (let k = 0; k < pixels.length; k += 4) {
    if (!pixels[k + 3]) continue;
    const at = k / 4;
    parts.push((at % width) - (width >> 1), Math.floor(at / width) - (width >> 1), pixels[k], pixels[k + 1], pixels[k + 2], pixels[k + 3] / 255);
  }
  return Float32Array.from(parts);
}
function press(into, width, height, parts, x, y) {
  for (let k = 0; k < parts.length; k += 6) {
    const across = x + parts[k], down = y + parts[k + 1];
    if (across < 0 || across >= width || down < 0 || down >= height) continue;
    const at = 4 * (down * width + across), a = parts[k + 5];
    into[at] += (parts[k + 2] - into[at]) * a;
    into[at + 1] += (parts[k + 3] - into[at + 1]) * a;
    into[at + 2] += (parts[k + 4] - into[at + 2]) * a;
  }
}
let stamps = null;
const viewOf = () => views[Number($("view").value)];

function limits(axis) {
  const values = axis.of(), scale = axis.scale || ((v) => v);
  let low = Infinity, high = -Infinity;
  for (let i = 0; i < count; i++) {
    const v = scale(values[i]);
    if (Number.isFinite(v)) { low = Math.min(low, v); high = Math.max(high, v); }
  }
  if (!(high > low)) { low = Number.isFinite(low) ? low - 0.5 : 0; high = low + 1; }
  const room = 0.03 * (high - low);
  return { low: low - room, high: high + room, scale, values };
}
function niceTicks(low, high) {
  const rough = (high - low) / 5, power = 10 ** Math.floor(Math.log10(rough));
  const by = [1, 2, 5, 10].find((m) => m * power >= rough) * power, out = [];
  for (let k = Math.ceil(low / by); k * by <= high; k++) out.push(Number((k * by).toPrecision(6)));
  return out;
}
let frame = null;
function placePoints() {
  const ratio = window.devicePixelRatio || 1, view = viewOf();
  const width = canvas.clientWidth, height = canvas.clientHeight;
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  const x = limits(view.x), y = limits(view.y);
  const across = (v) => PAD + ((x.scale(v) - x.low) / (x.high - x.low)) * (width - PAD - 10);
  const up = (v) => height - PAD + 8 - ((y.scale(v) - y.low) / (y.high - y.low)) * (height - PAD - 2);
  for (let i = 0; i < count; i++) { pointX[i] = across(x.values[i]); pointY[i] = up(y.values[i]); }
  frame = { ratio, width, height, x, y, across, up, view };
  stamps = [...names, ""].map((name) => [stamp(sprite(name, false)), stamp(sprite(name, true))]);
  stamps.pale = stamp(sprite("", false, true));
  drawAxes();
  frame.empty = paint.getImageData(0, 0, canvas.width, canvas.height);
  frame.full = new ImageData(canvas.width, canvas.height);
}
function drawAxes() {
  const { ratio, width, height, x, y, across, up, view } = frame, base = height - PAD + 8;
  paint.setTransform(ratio, 0, 0, ratio, 0, 0);
  paint.fillStyle = "#ffffff";
  paint.fillRect(0, 0, width, height);
  paint.font = "11px system-ui, sans-serif";
  paint.strokeStyle = "#e2dfd7";
  paint.fillStyle = "#5b646e";
  paint.lineWidth = 1;
  paint.beginPath();
  for (const tick of view.x.ticks || niceTicks(x.low, x.high)) {
    const at = across(tick);
    if (!(at >= PAD && at <= width - 8)) continue;
    paint.moveTo(at, 6); paint.lineTo(at, base);
    paint.textAlign = "center";
    paint.fillText(String(tick), at, base + 14);
  }
  for (const tick of view.y.ticks || niceTicks(y.low, y.high)) {
    const at = up(tick);
    if (!(at >= 8 && at <= base)) continue;
    paint.moveTo(PAD, at); paint.lineTo(width - 10, at);
    paint.textAlign = "right";
    paint.fillText(String(tick), PAD - 5, at + 4);
  }
  paint.stroke();
  paint.fillStyle = "#1b1f24";
  paint.textAlign = "center";
  paint.fillText(view.x.title, (PAD + width) / 2, height - 8);
  paint.save();
  paint.translate(12, height / 2);
  paint.rotate(-Math.PI / 2);
  paint.fillText(view.y.title, 0, 0);
  paint.restore();
}
function drawPoints(pick) {
  const place = columns.class.values, { full, ratio } = frame;
  for (let i = 0; i < count; i++) {
    const parts = pick(i, place[i] === NULL ? names.length : place[i], model.any[i]);
    if (!parts || Number.isNaN(pointX[i] + pointY[i])) continue;
    press(full.data, full.width, full.height, parts, Math.round(pointX[i] * ratio), Math.round(pointY[i] * ratio));
  }
}
function drawMap() {
  frame.full.data.set(frame.empty.data);
  if (order.length < count) drawPoints((i) => !kept[i] && stamps.pale);
  drawPoints((i, place, wrong) => kept[i] && !wrong && stamps[place][0]);
  drawPoints((i, place, wrong) => kept[i] && wrong && stamps[place][1]);
  paint.putImageData(frame.full, 0, 0);
  if (chosen >= 0 && Number.isFinite(pointX[chosen] + pointY[chosen])) {
    paint.strokeStyle = "#0072b2";
    paint.lineWidth = 2.5;
    paint.beginPath();
    paint.arc(pointX[chosen], pointY[chosen], 9, 0, 7);
    paint.stroke();
  }
  canvas.setAttribute("aria-label", `${frame.view.title}: ${order.length} spectra; the table below has the same`);
}
function nearest(event) {
  const box = canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
  let best = -1, least = REACH * REACH;
  for (let i = 0; i < count; i++) {
    if (!kept[i]) continue;
    const d = (pointX[i] - x) ** 2 + (pointY[i] - y) ** 2;
    if (d < least) { least = d; best = i; }
  }
  return best;
}
function hover(event) {
  const i = nearest(event), tip = $("tip");
  tip.hidden = i < 0;
  if (i < 0) return;
  const truth = [label(columns.class, i), label(columns.subclass, i), `z ${number(columns.z.values[i], 4)}`].filter(Boolean);
  const said = [classes && answerOf(classes) && label(answerOf(classes), i), redshift && `z ${number(model.said[i], 4)}`].filter(Boolean);
  tip.textContent = `${data.ids[i]}\n${label(columns.survey, i)}, S/N ${number(columns.snr.values[i], 1)}\n${truth.join(", ")}\n${model.title}: ${said.join(", ")}`;
  tip.style.left = `${Math.max(0, Math.min(pointX[i] + 12, frame.width - tip.offsetWidth))}px`;
  tip.style.top = `${Math.max(0, pointY[i] + (pointY[i] > frame.height - 110 ? -tip.offsetHeight - 10 : 14))}px`;
}
function showLegend() {
  const parts = names.map((name) => {
    const part = element("span");
    part.append(sprite(name, false), name);
    return part;
  });
  const wrong = element("span");
  wrong.append(sprite("GALAXY", true), "outlined: a wrong answer");
  const pale = element("span");
  pale.append(sprite("", false, true), "filtered out");
  $("legend").replaceChildren(...parts, wrong, pale);
}

// ---- One spectrum ----------------------------------------------------------------------------
function tableOf(rows, header) {
  const box = element("div", undefined, "simple"), made = element("table");
  if (header) {
    const row = element("tr");
    for (const text of header) row.append(element("th", text));
    made.append(row);
  }
  for (const cells of rows) {
    const row = element("tr");
    for (const [text, bad] of cells) row.append(element("td", text, bad ? "bad" : ""));
    made.append(row);
  }
  box.append(made);
  return box;
}
function answerText(one, task, i) {
  const said = one.columns[`${task.name}_pred`];
  if (!said) return "";
  if (task.kind === "classification") {
    return `${label(said, i)} (${number(100 * one.columns[`${task.name}_sure`].values[i], 1)} %)`;
  }
  const digits = task.kind === "redshift" ? 4 : 2, [low, high] = ["lo", "hi"].map((p) => one.columns[`${task.name}_${p}`].values[i]);
  const width = Number.isFinite(low) ? `\n[${number(low, digits)}, ${number(high, digits)}]` : "";
  return number(said.values[i], digits) + width;
}
function truthText(task, i) {
  const truth = columns[`${task.name}_true`];
  return task.kind === "classification" ? label(truth, i) : number(truth.values[i], task.kind === "redshift" ? 4 : 2);
}
function answersOf(i) {
  const rows = [[["catalogue"], ...data.tasks.map((task) => [truthText(task, i)])]];
  for (const one of models) {
    rows.push([[one.title], ...data.tasks.map((task) => [answerText(one, task, i), wrongOf(one, task, i)])]);
  }
  return tableOf(rows, ["", ...data.tasks.map((task) => task.title)]);
}
const wrongs = new Map();
function wrongOf(one, task, i) {
  const key = `${one.title}/${task.name}`;
  if (!wrongs.has(key)) wrongs.set(key, wrongAnswers(one, task));
  return wrongs.get(key)[i];
}
function neighboursOf(i) {
  const rows = [];
  for (let k = 0; columns[`nearest_${k}`]; k++) {
    const one = data.neighbours[columns[`nearest_${k}`].values[i]];
    if (one) rows.push([[one.id], [one.class || ""], [one.z === null ? "" : number(one.z, 4)], [number(columns[`distance_${k}`].values[i], 1)]]);
  }
  return rows;
}
function detailOf(i) {
  const parts = [element("h2", data.ids[i])], drawn = $(`drawn-${i}`), one = drawn && JSON.parse(drawn.textContent);
  const about = [label(columns.survey, i), `S/N ${number(columns.snr.values[i], 1) || "unknown"}`, label(columns.subclass, i)];
  parts.push(element("p", about.filter(Boolean).join(" · "), "muted"));
  if (one && one.page && one.page.startsWith("https://")) {
    const link = element("a", "the survey's page");
    link.href = one.page;
    link.rel = "noreferrer";
    parts[1].append(" · ", link);
  }
  const curve = element("canvas"), known = element("div", undefined, "known");
  if (one) parts.push(curve, element("p", curveNote(one), "muted"));
  else parts.push(...commandFor(i));
  parts.push(answersOf(i));
  const near = neighboursOf(i), novelty = columns.novelty.values[i], right = element("div");
  if (near.length) right.append(element("h3", "Nearest training spectra, as the ViT sees them"), tableOf(near, ["", "class", "z", "distance"]));
  if (Number.isFinite(novelty)) right.append(element("p", `Unlike training: ${number(novelty, 2)} (above 1: unlike anything in it).`, "muted"));
  known.append(right);
  if (one) {
    const image = element("img");
    image.alt = "Plot of the spectrum as the ViT sees it";
    if (data.grey) image.className = "grey";
    image.src = `data:image/png;base64,${one.picture}`;
    known.append(image);
  }
  parts.push(known);
  $("detail").replaceChildren(...parts);
  if (one) drawCurve(curve, i, one);
}
function curveNote(one) {
  const tasks = Object.keys(one.relevance).join(" and ");
  return "Flux [relative] against vacuum wavelength [Å]; lines at the catalogue's redshift (solid) and the answered one (dashed)." +
    (tasks ? ` Below: how much each wavelength speaks for the ViT's answer (${tasks}).` : "");
}
function commandFor(i) {
  const line = `tar -xf spectra/${label(columns.shard, i)}.tar --wildcards '${data.ids[i]}.*'`;
  const code = element("p");
  code.append(element("code", line), element("br"), element("code", `specvit explain --model . ${data.ids[i]}.fits`));
  return [element("p", "The page does not carry this one's spectrum and plot. In the run's folder, these draw it:", "muted"), code];
}
function fluxOf(one) {
  const steps = new Uint16Array(bytes(one.flux.data)), out = new Float64Array(steps.length);
  for (let k = 0; k < steps.length; k++) out[k] = steps[k] ? one.flux.low + ((steps[k] - 1) / 65533) * one.flux.span : NaN;
  return out;
}
function drawCurve(on, i, one) {
  const ratio = window.devicePixelRatio || 1, width = on.clientWidth, height = on.clientHeight, pen = on.getContext("2d");
  on.width = width * ratio; on.height = height * ratio;
  pen.scale(ratio, ratio);
  const strips = Object.entries(one.relevance), flux = fluxOf(one), base = height - 20 - 22 * strips.length;
  const low = waves[0], high = waves[waves.length - 1], sorted = [...flux].filter(Number.isFinite).sort((a, b) => a - b);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  const room = 0.3 * (at(0.995) - at(0.005)) || 1, bottom = at(0.005) - room, top = at(0.995) + room;
  const across = (wave) => 8 + ((wave - low) / (high - low)) * (width - 16);
  marks(pen, i, across, base);
  pen.strokeStyle = "#1b1f24";
  pen.lineWidth = 0.9;
  pen.beginPath();
  let open = false;
  flux.forEach((value, k) => {
    if (Number.isNaN(value)) { open = false; return; }
    const x = across(waves[k]), y = base - ((Math.min(top, Math.max(bottom, value)) - bottom) / (top - bottom)) * (base - 2);
    if (open) pen.lineTo(x, y); else pen.moveTo(x, y);
    open = true;
  });
  pen.stroke();
  strips.forEach(([task, kept], k) => strip(pen, task, kept, across, base + 22 * (k + 1)));
  pen.fillStyle = "#5b646e";
  pen.font = "11px system-ui, sans-serif";
  pen.textAlign = "center";
  for (let wave = 1000 * Math.ceil(low / 1000); wave < high; wave += 1000) pen.fillText(String(wave), across(wave), height - 5);
}
function strip(pen, task, kept, across, base) {
  const parts = kept.share.length, ratio = kept.high / kept.low;
  const edges = Array.from({ length: parts + 1 }, (_, k) => kept.low * ratio ** (k / parts));
  const density = kept.share.map((share, k) => share / (edges[k + 1] - edges[k])), most = Math.max(...density) || 1;
  pen.fillStyle = "#56b4e9";
  density.forEach((value, k) => {
    const x = across(edges[k]), tall = (18 * value) / most;
    pen.fillRect(x, base - tall, across(edges[k + 1]) - x, tall);
  });
  pen.fillStyle = "#1b1f24";
  pen.font = "10px system-ui, sans-serif";
  pen.textAlign = "left";
  pen.fillText(task, 10, base - 10);
}
function marks(pen, i, across, base) {
  const truth = [label(columns.class, i), columns.z.values[i], "#1b1f24", []];
  const said = [classes && answerOf(classes) ? label(answerOf(classes), i) : truth[0], model.said[i], "#0072b2", [4, 3]];
  for (const [name, z, colour, dash] of [truth, said]) {
    let end = -Infinity;
    for (const [line, rest] of Number.isFinite(z) ? data.lines[name] || [] : []) {
      const wave = rest * (1 + z), x = across(wave);
      if (wave < waves[0] || wave > waves[waves.length - 1]) continue;
      pen.setLineDash(dash);
      pen.globalAlpha = 0.5;
      pen.strokeStyle = colour;
      pen.beginPath(); pen.moveTo(x, 0); pen.lineTo(x, base); pen.stroke();
      pen.globalAlpha = 1;
      if (x < end + 10) continue; // a name would stand on the one before
      end = x;
      pen.fillStyle = colour;
      pen.font = "9px system-ui, sans-serif";
      pen.textAlign = "left";
      pen.save(); pen.translate(x - 2, dash.length ? base - 2 : 4); pen.rotate(-Math.PI / 2);
      pen.textAlign = dash.length ? "left" : "right"; pen.fillText(line, 0, 0); pen.restore();
    }
  }
  pen.setLineDash([]);
}
function choose(i) {
  chosen = i;
  detailOf(i);
  reveal();
  showRows();
  drawMap();
}

// ---- Start -----------------------------------------------------------------------------------
function again() { placePoints(); showLegend(); filter(); }
views.forEach((view, k) => { const made = element("option", view.title); made.value = k; $("view").append(made); });
heads.forEach((head, k) => {
  const cell = element("th", undefined, head.num ? "num" : ""), button = element("button", head.title);
  button.type = "button";
  button.addEventListener("click", () => { falling = k === sortBy ? !falling : Boolean(head.num); sortBy = k; list.scrollTop = 0; sort(); });
  cell.append(button);
  cell.scope = "col";
  table.tHead.rows[0].append(cell);
});
for (const key of ["class", "survey"]) {
  const box = [...document.getElementsByName(key)].pop();
  if (!columns[key].values.includes(NULL)) box.parentElement.remove();
}
for (const [key, task] of [["sure", classes], ["dz", redshift]]) if (!task) $(`${key}-min`).closest("fieldset").remove();
$("filters").addEventListener("submit", (event) => event.preventDefault());
$("filters").addEventListener("input", (event) => {
  if (event.target.id === "model") { model = judged(models[Number($("model").value)]); placePoints(); if (chosen >= 0) detailOf(chosen); }
  list.scrollTop = 0;
  filter();
});
$("filters").addEventListener("reset", () => setTimeout(() => { model = judged(models[0]); again(); }));
$("view").addEventListener("input", () => { placePoints(); drawMap(); });
list.addEventListener("scroll", showRows);
list.addEventListener("keydown", step);
body.addEventListener("click", (event) => { const row = event.target.closest("tr[data-row]"); if (row) choose(Number(row.dataset.row)); });
canvas.addEventListener("pointermove", hover);
canvas.addEventListener("pointerleave", () => { $("tip").hidden = true; });
canvas.addEventListener("click", (event) => { const i = nearest(event); if (i >= 0) choose(i); });
window.addEventListener("resize", () => { placePoints(); drawMap(); showRows(); if (chosen >= 0) detailOf(chosen); });
again();
})();
