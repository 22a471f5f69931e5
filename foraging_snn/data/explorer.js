// The script of the page of `foraging-snn explore`: which rows of the tables are shown. It runs once, when the page is ready; the models
// are variables with the names that page.py gives them. It computes differences and nothing else, and sets texts, never HTML.

const SETTLED_MS = 350 // after the last choice, before the agent is asked for
const TIME_STEP_MS = 120
const NEAR_PIXELS = 9
const TRAIL = 40 // epochs
const EATEN = 30
const MARGIN = 0.06
const LOWEST = 1e-5
const REWARDED = 1, PUNISHED = 2

const fact = (name) => about.data[name][0]
const field_squares = () => fact("field") ** 2
const clamp = (value, low, high) => Math.min(Math.max(value, low), high)

// What is looked at: rows of states A and B by trial and row of it, or a point of a landscape.
const chosen = {a: {trial: 0, row: 0}, b: {trial: 0, row: 0}, point: null}
let busy = false // while the script itself changes controls
let timer = null, clock = null, frame = null
let asked = 0, last_live = 0 // numbers of the last request, and of the last for the agent
const way = {size: 0, epoch: 0, rewarded: 0, punished: 0, of: null}

// ----------------------------------------------------------------------------------------------------------------- rows

const n_of = (trial) => trials.data.size[trial]
const row_of = (state) => trials.data.first[state.trial] + state.row
const trial_number = (name) => Array.from(trials.data.name).indexOf(name)
const part = (table, name, row) => {
  const column = table.data[name], width = column.shape[1]
  const Plain = Object.getPrototypeOf(column.constructor) // Bokeh's arrays with a shape cannot be cut
  return new Plain(column.buffer, column.byteOffset + row * width * column.BYTES_PER_ELEMENT, width)
}

function options_of_tables() {
  busy = true
  const names = Array.from(trials.data.name), titles = Array.from(trials.data.title)
  const labels = names.map((name, k) => [name, titles.indexOf(titles[k]) === titles.lastIndexOf(titles[k]) ? titles[k] : `${titles[k]} (${name})`])
  for (const select of [trial_a, trial_b]) {
    select.options = labels
    if (!names.includes(select.value)) select.value = names[0]
  }
  shown_trials.options = labels
  shown_trials.value = shown_trials.value.filter((name) => names.includes(name))
  chosen_map.options = Array.from(maps.data.name).map((name) => [name, name])
  if (!maps.data.name.includes(chosen_map.value)) chosen_map.value = maps.data.name[0]
  busy = false
}

// ------------------------------------------------------------------------------------------------------------------ map

const map_number = () => Array.from(maps.data.name).indexOf(chosen_map.value)
const surfaces = () => Array.from(landscapes.data.map).flatMap((map, k) => (map === map_number() ? [k] : []))

function show_map() {
  const map = map_number()
  busy = true
  for (const select of [across, up]) {
    select.options = [0, 1, 2].map((k) => [`${k}`, maps.data[`axis${k}`][map]])
  }
  const values = surfaces().map((k) => landscapes.data.task[k])
  surface.options = values.length ? values.map((name) => [name, name === "worst" ? "worse of all" : name]) : [["", "none"]]
  if (!values.includes(surface.value)) surface.value = values.includes("worst") ? "worst" : (values[0] ?? "")
  busy = false
  place_points()
  show_surface()
  fit_ranges()
  show_states()
}

function place_points() {
  const data = points.data, map = map_number()
  const visible = new Set(shown_trials.value.map(trial_number))
  const distance = data[`map${map}_2`]
  const far = surfaces().length ? distance.reduce((most, value) => (value > most ? value : most), 1e-12) : 0
  const from_x = data[`map${map}_${across.value}`], from_y = data[`map${map}_${up.value}`]
  const ways = {xs: [], ys: [], colour: []}
  for (let k = 0; k < data.x.length; k++) {
    const seen = !visible.size || visible.has(data.trial[k])
    const near = far ? 1 - distance[k] / far : 1
    data.x[k] = seen ? from_x[k] : NaN
    data.y[k] = seen ? from_y[k] : NaN
    data.alpha[k] = 0.15 + 0.85 * near
    data.size[k] = 3.5 + 3.5 * near
    if (!seen || Number.isNaN(data.x[k])) continue
    if (data.begins[k]) {
      const joined = data.row[k] > 0 // a phase goes on where the one before ended
      ways.xs.push(joined ? [data.x[k - 1]] : [])
      ways.ys.push(joined ? [data.y[k - 1]] : [])
      ways.colour.push(data.colour[k])
    }
    ways.xs[ways.xs.length - 1].push(data.x[k])
    ways.ys[ways.ys.length - 1].push(data.y[k])
  }
  shown_ways.data = ways
  points.change.emit()
}

function show_surface() {
  const there = surfaces().find((k) => landscapes.data.task[k] === surface.value)
  const flat = there !== undefined && across.value === "0" && up.value === "1"
  const data = landscapes.data, cell = (name) => (flat ? [data[name][there]] : [])
  shown_surface.data = {image: cell("image"), x: cell("x"), y: cell("y"), dw: cell("dw"), dh: cell("dh")}
  bar.visible = flat
  if (flat) {
    const values = Array.from(data.image[there]).filter((value) => !Number.isNaN(value))
    map_mapper.low = Math.min(...values)
    map_mapper.high = Math.max(...values)
  }
  const named = Array.from(states.data.map).flatMap((map, k) => (flat && map === map_number() ? [k] : []))
  shown_states.data = Object.fromEntries(["x", "y", "name"].map((name) => [name, named.map((k) => states.data[name][k])]))
}

function fit_ranges() {
  const x = Array.from(points.data.x).filter(Number.isFinite), y = Array.from(points.data.y).filter(Number.isFinite)
  const s = shown_surface.data
  if (s.x.length) { x.push(s.x[0], s.x[0] + s.dw[0]); y.push(s.y[0], s.y[0] + s.dh[0]) }
  if (!x.length) return
  const limits = (values) => [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))]
  const [x0, x1] = limits(x), [y0, y1] = limits(y)
  // one unit is as long in both directions, so that distances can be compared
  const unit = Math.max((x1 - x0) / map_plot.frame_width, (y1 - y0) / map_plot.frame_height, 1e-9) * (1 + 2 * MARGIN)
  for (const [range, middle, size] of [[map_plot.x_range, (x0 + x1) / 2, map_plot.frame_width], [map_plot.y_range, (y0 + y1) / 2, map_plot.frame_height]]) {
    range.setv({start: middle - unit * size / 2, end: middle + unit * size / 2, reset_start: middle - unit * size / 2, reset_end: middle + unit * size / 2})
  }
}

// --------------------------------------------------------------------------------------------------------------- states

function describe(letter, state) {
  if (letter === "A" && chosen.point) return `A: the point ${chosen.point.x.toFixed(2)}, ${chosen.point.y.toFixed(2)} of the plane${is_recorded ? "; its network is not in this file, that of the last state is shown" : ""}`
  const k = row_of(state), data = points.data
  const where = `${data.phase[k]}, aeon ${Number(data.aeon[k].toFixed(1))}`
  return `${letter}: ${data.title[k]} · ${where}${data.performance[k] ? ` · ${data.performance[k]}` : ""}`
}

function show_states() {
  const data = points.data
  busy = true
  for (const [state, select, slider] of [[chosen.a, trial_a, slider_a], [chosen.b, trial_b, slider_b]]) {
    state.trial = clamp(state.trial, 0, trials.data.name.length - 1)
    state.row = clamp(state.row, 0, n_of(state.trial) - 1)
    select.value = trials.data.name[state.trial]
    slider.end = Math.max(n_of(state.trial) - 1, 1)
    slider.value = state.row
    slider.title = `snapshot ${state.row + 1} of ${n_of(state.trial)}`
  }
  busy = false
  said_a.text = describe("A", chosen.a)
  said_b.text = describe("B", chosen.b)
  for (const [mark, state] of [[mark_a, chosen.a], [mark_b, chosen.b]]) mark.data = {x: [data.x[row_of(state)]], y: [data.y[row_of(state)]]}
  mark_point.data = chosen.point ? {x: [chosen.point.x], y: [chosen.point.y]} : {x: [], y: []}
  span_a.location = data.aeon[row_of(chosen.a)]
  span_b.location = data.aeon[row_of(chosen.b)]
  show_curves()
  show_networks()
  show_replay()
  write_address()
}

let curves_of = ""
function show_curves() {
  if (curves_of === `${trials.data.name} ${chosen.a.trial} ${chosen.b.trial}`) return
  curves_of = `${trials.data.name} ${chosen.a.trial} ${chosen.b.trial}`
  const shown = {xs: [], ys: [], colour: [], width: [], alpha: []}
  for (const [trial, alpha] of [[chosen.b.trial, 0.35], [chosen.a.trial, 1.0]]) {
    curves.data.trial.forEach((of, k) => {
      if (of !== trial) return
      for (const name of ["xs", "ys", "colour", "width"]) shown[name].push(curves.data[name][k])
      shown.alpha.push(alpha)
    })
    if (chosen.b.trial === chosen.a.trial) shown.alpha.fill(1.0)
  }
  shown_curves.data = shown
  const aeons = [...shown.xs.flat(), ...points.data.aeon.filter((_, k) => [chosen.a.trial, chosen.b.trial].includes(points.data.trial[k]))]
  const last = aeons.reduce((x, y) => Math.max(x, y), 1)
  time_range.setv({start: -0.03 * last, end: 1.02 * last})
  points.data.rug.forEach((_, k) => { points.data.rug[k] = points.data.trial[k] === chosen.a.trial ? 0.34 : NaN })
  points.change.emit()
}

function fill_images(source, values) {
  const squares = field_squares()
  source.data.image.forEach((image, k) => image.set(values.subarray(k * squares, (k + 1) * squares)))
  source.change.emit()
}

// The table and the row of it with the network of a state; that of a clicked point takes the place of A.
function network_of(letter) {
  if (letter === "a" && chosen.point?.known) return {table: point, row: 0, trial: point.data.trial[0]}
  return {table: points, row: row_of(chosen[letter]), trial: chosen[letter].trial}
}

function show_networks() {
  const [of_a, of_b] = ["a", "b"].map(network_of)
  const [a, b] = [of_a, of_b].map(({table, row}) => part(table, "fields", row))
  const less = a.map((value, k) => value - b[k])
  field_mapper.high = Math.max(a.reduce((x, y) => Math.max(x, y)), b.reduce((x, y) => Math.max(x, y)), 1e-9)
  const most = Math.max(less.reduce((x, y) => Math.max(x, Math.abs(y)), 0), 1e-9)
  change_mapper.setv({low: -most, high: most})
  fill_images(fields_a, a)
  fill_images(fields_b, b)
  fill_images(change, less)
  const cells = part(of_a.table, "drivers", of_a.row), first = trials.data.image[of_a.trial]
  cells.forEach((cell, k) => drivers.data.image[k].set(part(images, "image", first + cell)))
  drivers.data.cell = Array.from(cells)
  driver_mapper.high = drivers.data.image.reduce((most, image) => image.reduce((x, y) => Math.max(x, y), most), 1e-9)
  drivers.change.emit()
  part(of_a.table, "histogram", of_a.row).forEach((share, k) => { bars.data.top[k] = Math.max(share, LOWEST) })
  part(of_b.table, "histogram", of_b.row).forEach((share, k) => { outline.data.y[k] = Math.max(share, LOWEST) })
  bars.change.emit()
  outline.change.emit()
  const strong = ({table, row}) => table.data.strong[row]
  clusters.text = `above 0.08: ${strong(of_a)} in A, ${strong(of_b)} in B`
}

function choose(letter, trial, row) {
  Object.assign(chosen[letter], {trial, row})
  if (letter === "a") {
    chosen.point = null
    if (follow.active) chosen.b.row = Math.round(clamp(row / Math.max(n_of(trial) - 1, 1), 0, 1) * (n_of(chosen.b.trial) - 1))
    settle()
  }
  show_states()
}

function step(letter, by) {
  const selected = Array.from(points.selected.indices).filter((k) => points.data.trial[k] === chosen[letter].trial).map((k) => points.data.row[k])
  const rows = selected.length ? selected.sort((x, y) => x - y) : null
  const state = chosen[letter]
  if (rows === null) return choose(letter, state.trial, clamp(state.row + by, 0, n_of(state.trial) - 1))
  const next = by > 0 ? rows.find((row) => row > state.row) : rows.findLast((row) => row < state.row)
  if (next !== undefined) choose(letter, state.trial, next)
}

function show_brushed() {
  const rows = Array.from(points.selected.indices).filter((k) => Number.isFinite(points.data.x[k]))
  if (!rows.length) { brushed.text = ""; return }
  const of = new Map()
  for (const k of rows) {
    const name = `${points.data.title[k]} · ${points.data.phase[k]}`
    of.set(name, [...(of.get(name) ?? []), points.data.aeon[k]])
  }
  const parts = [...of].slice(0, 4).map(([name, aeons]) => `${name}: ${aeons.length} (aeons ${Math.min(...aeons).toFixed(0)} to ${Math.max(...aeons).toFixed(0)})`)
  brushed.text = `${rows.length} state${rows.length > 1 ? "s" : ""} in the box: ${parts.join("; ")}${of.size > 4 ? "; …" : ""}`
}

// ---------------------------------------------------------------------------------------------------------------- agent

function ask(kind, more = {}) {
  asked += 1
  if (kind === "live") last_live = asked
  const cells = {number: asked, kind, trial: trials.data.name[chosen.a.trial], row: chosen.a.row, task: task.value, map: chosen_map.value, x: NaN, y: NaN, point: false, ...more}
  if (chosen.point) Object.assign(cells, {point: true, map: chosen.point.map, x: chosen.point.x, y: chosen.point.y})
  request.data = Object.fromEntries(Object.entries(cells).map(([name, value]) => [name, [value]]))
}

function settle() {
  clearTimeout(timer)
  tested.text = ""
  continued.text = ""
  timer = setTimeout(run_agent, SETTLED_MS)
}

function run_agent() {
  clearTimeout(timer)
  if (is_recorded) return play_recorded()
  tally.text = "computing …"
  ask("live")
}

function play_recorded() { // of the state nearest in the same trial of which a way was kept
  const data = recorded.data
  let best = null
  data.name.forEach((name, k) => {
    if (name !== trials.data.name[chosen.a.trial] || data.task[k] !== task.value) return
    if (best === null || Math.abs(data.row[k] - chosen.a.row) < Math.abs(data.row[best] - chosen.a.row)) best = k
  })
  if (best === null) { tally.text = "no recorded agent of this trial and task"; return }
  start_way(data, best)
  const own = data.row[best] === chosen.a.row && !chosen.point
  tested.text = `${own ? "" : "Recorded, not live: the nearest state whose agent is in this file. "}${data.text[best]}`
  if (chosen.point) tested.text = `${at_grid()} ${tested.text}`
}

function at_grid() { // what the landscape says of the point that was clicked
  const said = surfaces().filter((k) => landscapes.data.task[k] !== "worst").map((k) => {
    const image = landscapes.data.image[k], [rows, columns] = image.shape, data = landscapes.data
    const i = clamp(Math.floor((chosen.point.x - data.x[k]) / data.dw[k] * columns), 0, columns - 1)
    const j = clamp(Math.floor((chosen.point.y - data.y[k]) / data.dh[k] * rows), 0, rows - 1)
    return `${data.task[k]} ${image[j * columns + i].toFixed(3)} ± ${data.error[k].toFixed(3)}`
  })
  return `Recorded, not live: the landscape at ${chosen.point.x.toFixed(2)}, ${chosen.point.y.toFixed(2)} has ${said.join(", ")}.`
}

function start_way(data, k) {
  Object.assign(way, {of: data, k, epoch: 0, rewarded: 0, punished: 0, grid: Uint8Array.from(data.grid[k]), title: data.title[k]})
  way.size = Math.sqrt(way.grid.length)
  way.task = data.task[k]
  show_epoch()
  play_agent()
}

function show_epoch() {
  const {of, k, epoch, size} = way
  const [xs, ys, outcomes] = [of.x[k], of.y[k], of.outcome[k]]
  const changed = of.changes[k][epoch]
  for (let c = 0; c < changed.length; c += 2) way.grid[changed[c]] = changed[c + 1]
  if (outcomes[epoch] === REWARDED) way.rewarded += 1
  if (outcomes[epoch] === PUNISHED) way.punished += 1
  world.data.image[0].set(way.grid)
  world.change.emit()
  agent.data = {x: [xs[epoch] + 0.5], y: [ys[epoch] + 0.5], view: [fact("field")]}
  const line = {x: [], y: []}, meals = {x: [], y: [], colour: [], marker: [], alpha: []}
  for (let e = Math.max(0, epoch - TRAIL); e <= epoch; e++) {
    if (e > 0 && Math.max(Math.abs(xs[e] - xs[e - 1]), Math.abs(ys[e] - ys[e - 1])) > size / 2) { line.x.push(NaN); line.y.push(NaN) }
    line.x.push(xs[e] + 0.5)
    line.y.push(ys[e] + 0.5)
    if (e > epoch - EATEN && (outcomes[e] === REWARDED || outcomes[e] === PUNISHED)) {
      meals.x.push(xs[e] + 0.5)
      meals.y.push(ys[e] + 0.5)
      meals.colour.push(outcomes[e] === REWARDED ? "#009E73" : "#CC3311")
      meals.marker.push(outcomes[e] === REWARDED ? "circle" : "x")
      meals.alpha.push(1 - (epoch - e) / EATEN)
    }
  }
  trail.data = line
  eaten.data = meals
  tally.text = `${way.title}\n${way.task}: epoch ${epoch + 1} of ${xs.length}, ${way.rewarded} rewarded, ${way.punished} punished`
}

function play_agent() {
  clearTimeout(frame)
  frame = setTimeout(() => {
    if (way.of === null || way.epoch + 1 >= way.of.x[way.k].length) return
    way.epoch += 1
    show_epoch()
    play_agent()
  }, 1000 / speed.value)
  pause.label = "pause agent"
}

function pause_agent() {
  if (frame === null) return play_agent()
  clearTimeout(frame)
  frame = null
  pause.label = "go on"
}

function go_on() {
  const command = points.data.command[row_of(chosen.a)]
  if (command && !chosen.point) { continued.text = command; return }
  if (is_recorded) { continued.text = "These strengths are in no file yet: open the folder with `foraging-snn explore` to save them."; return }
  continued.text = "writing …"
  ask("save")
}

let replay_of = null
function show_replay() {
  const name = trials.data.name[chosen.a.trial], k = Array.from(replay.data.name).indexOf(name)
  replay_plot.visible = k >= 0 && replay.data.aeon[k].length > 0
  if (k >= 0) {
    const end = replay.data.aeon[k].reduce((x, y) => Math.max(x, y), 1)
    replay_range.setv({start: -0.03 * end, end: 1.03 * end})
    shown_replay.data = {aeon: replay.data.aeon[k], task1: replay.data.task1[k], task2: replay.data.task2[k]}
  } else if (!is_recorded && replay_of !== name) { replay_of = name; ask("replay") }
}

// ---------------------------------------------------------------------------------------------------------------- input

function tap(event) {
  const {x, y} = event
  const per_x = (map_plot.x_range.end - map_plot.x_range.start) / map_plot.frame_width
  const per_y = (map_plot.y_range.end - map_plot.y_range.start) / map_plot.frame_height
  let best = -1, nearest = NEAR_PIXELS
  for (let k = 0; k < points.data.x.length; k++) {
    const far = Math.hypot((points.data.x[k] - x) / per_x, (points.data.y[k] - y) / per_y)
    if (far < nearest) { best = k; nearest = far }
  }
  if (best >= 0) return choose(event.modifiers?.shift ? "b" : "a", points.data.trial[best], points.data.row[best])
  const s = shown_surface.data
  if (!s.x.length || x < s.x[0] || y < s.y[0] || x > s.x[0] + s.dw[0] || y > s.y[0] + s.dh[0]) return
  const before = chosen.point
  if (before && before.map === chosen_map.value && before.x === x && before.y === y) return  // the second of two clicks
  chosen.point = {map: chosen_map.value, x, y}
  tested.text = continued.text = ""
  show_states()
  run_agent()
}

function tap_time(event) {
  const trial = chosen.a.trial, first = trials.data.first[trial]
  let best = 0
  for (let row = 0; row < n_of(trial); row++) {
    if (Math.abs(points.data.aeon[first + row] - event.x) < Math.abs(points.data.aeon[first + best] - event.x)) best = row
  }
  choose("a", trial, best)
}

function play_time() {
  if (clock !== null) { clearInterval(clock); clock = null; return }
  if (chosen.a.row >= n_of(chosen.a.trial) - 1) choose("a", chosen.a.trial, 0)
  clock = setInterval(() => {
    const before = chosen.a.row
    step("a", 1)
    if (chosen.a.row === before) play_time()
  }, TIME_STEP_MS)
}

const compare_here = () => choose("b", chosen.a.trial, chosen.a.row)

function other_trial(by) {
  const trial = (chosen.a.trial + by + trials.data.name.length) % trials.data.name.length
  choose("a", trial, Math.round(chosen.a.row / Math.max(n_of(chosen.a.trial) - 1, 1) * (n_of(trial) - 1)))
}

const KEYS = {
  ArrowLeft: (shift) => step(shift ? "b" : "a", -1),
  ArrowRight: (shift) => step(shift ? "b" : "a", 1),
  ArrowUp: () => other_trial(-1),
  ArrowDown: () => other_trial(1),
  " ": play_time,
  p: pause_agent,
  c: compare_here,
}

document.addEventListener("keydown", (event) => {
  const at = event.composedPath()[0]
  if (event.ctrlKey || event.altKey || event.metaKey || ["INPUT", "SELECT", "TEXTAREA"].includes(at.tagName)) return
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key
  if (!KEYS[key] || (key === " " && at.tagName === "BUTTON")) return
  if (at.classList?.contains("noUi-handle")) { if (key !== " ") event.stopImmediatePropagation(); at.blur() }
  event.preventDefault()
  KEYS[key](event.shiftKey)
}, true)

// -------------------------------------------------------------------------------------------------------------- address

function write_address() {
  const state = (one) => `${trials.data.name[one.trial]}:${one.row}`
  const view = {map: chosen_map.value, x: across.value, y: up.value, of: surface.value, task: task.value, a: state(chosen.a), b: state(chosen.b)}
  if (chosen.point) view.point = `${chosen.point.x},${chosen.point.y}`
  if (shown_trials.value.length) view.trials = shown_trials.value.join("/")
  history.replaceState(null, "", `#${new URLSearchParams(view)}`)
}

function read_address() {
  const view = new URLSearchParams(location.hash.slice(1))
  const allowed = (select) => select.options.map((option) => option[0])
  busy = true
  const named = (view.get("trials") ?? "").split("/").filter((name) => trial_number(name) >= 0)
  shown_trials.value = named
  for (const [name, select] of [["map", chosen_map], ["x", across], ["y", up], ["task", task]]) {
    if (allowed(select).includes(view.get(name))) select.value = view.get(name)
  }
  busy = false
  show_map()
  busy = true
  if (allowed(surface).includes(view.get("of"))) surface.value = view.get("of")
  busy = false
  const last = {a: n_of(0) - 1, b: 0}
  for (const letter of ["a", "b"]) {
    const [, name, row] = (view.get(letter) ?? "").match(/^(.*):(\d+)$/) ?? []
    const trial = trial_number(name)
    Object.assign(chosen[letter], trial >= 0 ? {trial, row: Number(row)} : {trial: 0, row: last[letter]})
  }
  const [x, y] = (view.get("point") ?? "").split(",").map(Number)
  if (Number.isFinite(x) && Number.isFinite(y) && surfaces().length) chosen.point = {map: chosen_map.value, x, y}
}

// ---------------------------------------------------------------------------------------------------------------- start

function on(model, property, call) {
  model.properties[property].change.connect(() => { if (!busy) call() })
}

function tables_changed() { // a file has come or gone: stay where one is
  const names = [chosen.a, chosen.b].map((state) => seen[state.trial])
  options_of_tables()
  ;[chosen.a, chosen.b].forEach((state, k) => { state.trial = Math.max(trial_number(names[k]), 0) })
  seen = Array.from(trials.data.name)
  curves_of = ""
  show_map()
  notes.text = [fact("problems"), fact("conditions")].filter(Boolean).join("\n")
}

let seen = Array.from(trials.data.name)
window.explorer = {choose, tap, tap_time, play_time, compare_here, pause_agent, go_on, chosen, way, map_plot, points}
options_of_tables()
read_address()
show_surface()
show_states()
notes.text = [is_recorded ? "A page in a file: the agent is recorded, not live." : "", fact("problems"), fact("conditions")].filter(Boolean).join("\n")
on(chosen_map, "value", show_map)
for (const select of [across, up]) on(select, "value", () => { place_points(); show_surface(); fit_ranges(); show_states() })
on(surface, "value", () => { show_surface(); write_address() })
on(shown_trials, "value", () => { place_points(); show_states() })
on(task, "value", () => { write_address(); run_agent() })
on(trial_a, "value", () => choose("a", trial_number(trial_a.value), chosen.a.row))
on(trial_b, "value", () => choose("b", trial_number(trial_b.value), chosen.b.row))
on(slider_a, "value", () => choose("a", chosen.a.trial, slider_a.value))
on(slider_b, "value", () => choose("b", chosen.b.trial, slider_b.value))
points.selected.properties.indices.change.connect(show_brushed)
maps.properties.data.change.connect(tables_changed) // the last of the tables that is sent
live.properties.data.change.connect(() => { if (live.data.number[0] === last_live) start_way(live.data, 0) })
answer.properties.data.change.connect(() => {
  const [number, kind, text] = ["number", "kind", "text"].map((name) => answer.data[name][0])
  if (kind === "saved" || kind === "save failed") continued.text = text
  else if (kind === "live failed" && number === last_live) tally.text = text
  else if (kind === "tested" && number === last_live) tested.text = text
})
point.properties.data.change.connect(() => {
  if (chosen.point === null || point.data.number[0] !== last_live) return
  chosen.point.known = true
  show_states()
})
replay.properties.data.change.connect(show_replay)
document.getElementById("loading")?.remove()
run_agent()
