// The JSON API. All addresses are relative to the page, so that it also works in a folder behind a proxy.

const BASE = new URL(".", document.baseURI);

/** An address of this server: url("live", name + ".jpg"). */
export function url(...parts) {
  return new URL(parts.map((part) => part.split("/").map(encodeURIComponent).join("/")).join("/"), BASE);
}

/** The same for a WebSocket. */
export function socketUrl(path, query = {}) {
  const address = url(...path);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  for (const [key, value] of Object.entries(query)) address.searchParams.set(key, value);
  return address;
}

async function ask(method, path, body) {
  const sent = body === undefined ? {} : { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let answer;
  try {
    answer = await fetch(path, { method, signal: AbortSignal.timeout(15000), ...sent });
  } catch {
    throw new Error("streamseg does not answer; is it still running?");
  }
  const json = (answer.headers.get("content-type") ?? "").startsWith("application/json");
  const told = json ? await answer.json() : await answer.text();
  if (!answer.ok) throw new Error(json ? told.error : told.trim() || `error ${answer.status}`);
  return told;
}

export const about = () => ask("GET", url("api", "about"));
export const camera = (name) => ask("GET", url("api", "cameras", name));
export const change = (name, options) => ask("PATCH", url("api", "cameras", name), options);
export const add = (name, options) => ask("POST", url("api", "cameras"), { name, options });
export const remove = (name) => ask("DELETE", url("api", "cameras", name));
export const pause = (name) => ask("POST", url("api", "cameras", name, "pause"));
export const resume = (name) => ask("POST", url("api", "cameras", name, "resume"));
export const instances = (name) => ask("GET", url("api", "cameras", name, "instances"));

export function events(wanted) {
  const address = url("api", "events");
  for (const [key, value] of Object.entries(wanted)) if (value !== "" && value !== null) address.searchParams.set(key, value);
  return ask("GET", address);
}
