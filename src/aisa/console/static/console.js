// What the console's pages do in a browser. Every page works without: this loads sums behind the page, draws plots, opens receipts at the side.
"use strict";

const SERIES = 8;
const drawn = new Map(); // room of a plot -> uPlot

function say(text) {
  document.getElementById("said").textContent = text;
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function number(value, unit) {
  if (value === null || value === undefined) return "–";
  if (unit === "$") return "$" + value.toLocaleString("en", value && value < 0.1 ? { maximumSignificantDigits: 3 } : { minimumFractionDigits: Number.isInteger(value) ? 0 : 2, maximumFractionDigits: 2 });
  const short = value.toLocaleString("en", { notation: value >= 10000 ? "compact" : "standard", maximumFractionDigits: value < 10 ? 2 : value < 1000 ? 1 : 0 });
  return unit === "%" ? short + " %" : short;
}

// Plots

function legend(figure, names, values, unit) {
  const list = document.createElement("ul");
  list.className = "legend";
  names.forEach((name, place) => {
    const item = document.createElement("li");
    item.innerHTML = '<svg width="10" height="10" aria-hidden="true"><circle cx="5" cy="5" r="4.5"/></svg>';
    item.querySelector("circle").setAttribute("fill", colour(`--s${(place % SERIES) + 1}`));
    const label = document.createElement("span");
    label.textContent = name;
    const at = document.createElement("span");
    at.className = "at";
    item.append(label, at);
    list.append(item);
  });
  figure.querySelector(".legend")?.remove();
  if (names.length > 1) figure.querySelector(".plot-room").after(list);
  return (index) => list.querySelectorAll(".at").forEach((at, place) => (at.textContent = index === null ? "" : number(values[place][index], unit)));
}

function draw(figure) {
  const room = figure.querySelector(".plot-room");
  room.hidden = !window.uPlot;
  if (!window.uPlot) {
    figure.querySelector(".plot-table").open = true;
    return;
  }
  drawn.get(room)?.destroy();
  const { unit, names, values } = JSON.parse(figure.dataset.plot);
  const days = figure.dataset.days.split(" ").map((day) => Date.parse(day + "T00:00:00Z") / 1000);
  const show = legend(figure, names, values, unit);
  const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
  const bars = uPlot.paths.bars({ size: [0.6, 48], radius: 0.15 });
  const one = names.length === 1 && unit !== "ms" && unit !== "%";
  const series = names.map((name, place) => {
    const stroke = colour(`--s${(place % SERIES) + 1}`);
    return one
      ? { label: name, stroke, fill: stroke, width: 0, paths: bars, points: { show: false } }
      : { label: name, stroke, width: 2, points: { show: values[place].length < 45, size: 5, fill: stroke }, spanGaps: true };
  });
  const options = {
    width: room.clientWidth || 400,
    height: 190,
    tzDate: (stamp) => uPlot.tzDate(new Date(stamp * 1000), "UTC"),
    legend: { show: false },
    cursor: { y: false, drag: { setScale: false }, points: { size: 7 } },
    scales: { x: { range: (_, low, high) => [low - 43200, high + 43200] }, y: { range: (_, low, high) => [0, high > 0 ? high * 1.1 : 1] } },
    axes: [
      { ...axis, size: 28, grid: { show: false }, space: 70, values: (_, stamps) => stamps.map((stamp) => (stamp % 86400 ? "" : new Date(stamp * 1000).toLocaleDateString("en", { month: "short", day: "numeric", timeZone: "UTC" }))) },
      { ...axis, size: 56, space: 36, values: (_, ticks) => ticks.map((tick) => number(tick, unit)) },
    ],
    series: [{}, ...series],
    hooks: { setCursor: [(plot) => show(plot.cursor.idx ?? null)] },
  };
  room.textContent = "";
  drawn.set(room, new uPlot(options, [days, ...values], room));
}

function drawAll(within) {
  within.querySelectorAll("[data-plot]").forEach(draw);
}

// Parts that come behind the page

async function later(place) {
  try {
    const answer = await fetch(place.dataset.later, { headers: { "x-fragment": "1" }, credentials: "same-origin" });
    if (answer.status === 401) return location.assign("/console/login");
    place.innerHTML = await answer.text();
  } catch {
    place.textContent = "The server did not answer. Reload the page to ask again.";
  }
  place.removeAttribute("aria-busy");
  ready(place);
}

function ready(within) {
  within.querySelectorAll("[data-later]").forEach(later);
  if (window.htmx) window.htmx.process(within);
  drawAll(within);
}

// Calls that run

function follow(place) {
  const state = document.getElementById("live-state");
  const source = new EventSource(place.dataset.events);
  source.onmessage = (event) => {
    const kept = document.activeElement?.id;
    const left = place.querySelector(".scroll")?.scrollLeft ?? 0;
    place.innerHTML = event.data;
    if (place.querySelector(".scroll")) place.querySelector(".scroll").scrollLeft = left;
    if (kept) document.getElementById(kept)?.focus({ preventScroll: true });
    state.textContent = "live";
  };
  source.onerror = () => (state.textContent = "not connected, trying again");
}

// Receipts at the side

const drawer = document.getElementById("drawer");
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target.id === "drawer-body" && drawer && !drawer.open) drawer.showModal();
});
document.addEventListener("htmx:responseError", (event) => {
  if (event.detail.xhr.status !== 401) event.detail.target.innerHTML = event.detail.xhr.responseText;
  if (event.detail.target.id === "drawer-body" && drawer && !drawer.open) drawer.showModal();
});
drawer?.addEventListener("click", (event) => {
  if (event.target === drawer || event.target.closest("[data-close]")) drawer.close();
});

// Small things

async function toClipboard(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = Object.assign(document.createElement("textarea"), { value: text, className: "hidden" }); // pages without TLS have no clipboard
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

document.addEventListener("click", async (event) => {
  const copy = event.target.closest("[data-copy]");
  if (copy) {
    await toClipboard(document.querySelector(copy.dataset.copy).textContent);
    const was = copy.textContent;
    copy.textContent = "Copied";
    say("Copied");
    setTimeout(() => (copy.textContent = was), 1500);
  }
  if (event.target.closest("[data-theme-toggle]")) {
    const now = document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    const next = now === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    localStorage.setItem("aisa-theme", next);
    drawAll(document);
  }
});
// What the server would refuse unread is told here, where nothing that was typed is lost.
function tooLarge(form) {
  const bytes = new URLSearchParams(new FormData(form)).toString().length;
  const most = Number(document.body.dataset.formBytesMax);
  form.querySelector(".too-large")?.remove();
  if (!most || bytes <= most) return false;
  const told = Object.assign(document.createElement("p"), { className: "wrong whole too-large" });
  told.setAttribute("role", "alert");
  told.textContent = `This form has ${bytes.toLocaleString("en")} bytes, and ${most.toLocaleString("en")} are taken at most. It was not sent. A longer list of models is taken by aisa keys update and by the admin API.`;
  form.prepend(told);
  return true;
}

document.addEventListener("submit", (event) => {
  if (event.target.method === "post" && tooLarge(event.target)) return event.preventDefault();
  const question = event.target.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
});

addEventListener("DOMContentLoaded", () => {
  if (matchMedia("(max-width: 760px)").matches) document.querySelector(".menu")?.removeAttribute("open");
  document.querySelectorAll("[data-later]").forEach(later);
  document.querySelectorAll("[data-events]").forEach(follow);
  drawAll(document);
  let waiting = 0;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => drawAll(document), 150);
  });
});
