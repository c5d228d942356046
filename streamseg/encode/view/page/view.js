"use strict";
// The token, if any, is in this page's own address; pass it on.
const query = location.search;
const at = (id) => document.getElementById(id);
const picture = at("picture");
const connect = () => { picture.src = "stream.mjpg" + query; };
at("snapshot").href = "snapshot.jpg" + query;
picture.onerror = () => setTimeout(connect, 1000);
connect();

let away = false;
async function refresh() {
  try {
    const stats = await (await fetch("stats" + query, { cache: "no-store" })).json();
    at("title").textContent = stats.title || "streamseg";
    at("fps").textContent = stats.fps.toFixed(1);
    at("latency").textContent = stats.latency_ms === null ? "–" : Math.round(stats.latency_ms);
    at("dropped").textContent = stats.dropped;
    at("instances").textContent = Object.entries(stats.instances).map(([name, n]) => `${n} ${name}`).join(", ");
    if (away) connect();
    away = false;
  } catch {
    away = true;
  }
  at("away").hidden = !away;
  setTimeout(refresh, 1000);
}
refresh();
