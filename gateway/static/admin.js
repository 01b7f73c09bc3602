// Reads the status document every few seconds and shows it. Everything is set as text, never as markup.
"use strict";

const SECONDS = 3;
const MAX_ROWS = 500;
const GRADE = {
  RUNNING: "good", RESUMING: "warn", DRAINING: "warn", PAUSED: "",
  healthy: "good", starting: "warn", unhealthy: "bad", sleeping: "bad", unknown: "",
  closed: "good", "half-open": "warn", open: "bad",
  ready: "good", "not ready": "warn", dead: "bad",
};
let status = null;

const at = (id) => document.getElementById(id);

function make(tag, name, ...children) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// A name that is too long for its cell is broken where a person would break it.
const name = (text) => text.split(/(?<=[/.:])/).flatMap((part, number) => (number ? [document.createElement("wbr"), part] : [part]));

const pill = (word, title, grade = GRADE[word] ?? "") => {
  const node = make("span", `pill ${grade}`.trim(), word.toLowerCase());
  if (title) node.title = title;
  return node;
};

function age(seconds) {
  if (seconds === null || seconds === undefined) return "never";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

function banner(grade, title, text) {
  return make("p", `banner ${grade}`, make("strong", "", title), text);
}

function banners() {
  const found = [];
  const reload = status.reload;
  if (reload && reload.stale) {
    found.push(banner("bad", "The newest routes are not used; the last good ones stay", reload.reason));
  } else if (reload && reload.source === "disk") {
    found.push(banner("warn", "Routing by the last good routes on disk", "The Kubernetes API has not answered since this gateway started."));
  } else if (reload && reload.source === "none") {
    found.push(banner("warn", "No routes yet", "Waiting for the Kubernetes API."));
  } else if (reload && !reload.connected) {
    found.push(banner("warn", "The Kubernetes API is not being watched right now", "Routes and addresses stay as they were last seen."));
  }
  for (const worker of status.workers) {
    if (worker.state !== "ready") found.push(banner("warn", `Worker ${worker.index} is ${worker.state}`, worker.detail));
  }
  at("banners").replaceChildren(...found);
}

function tile(value, label, detail, grade) {
  return make("div", `tile ${grade ?? ""}`.trim(), make("div", "value", String(value)), make("div", "label", label), make("div", "detail", detail ?? ""));
}

function tiles() {
  const sum = status.summary;
  if (sum.routes === undefined) return at("tiles").replaceChildren();
  const bad = unwell();
  const unreachable = bad.filter((state) => state === "sleeping").length;
  const states = [["paused", sum.pausedBackends], ["resuming", sum.resumingBackends], ["draining", sum.drainingBackends]];
  const others = states.filter(([, number]) => number).map(([word, number]) => `${number} ${word}`).join(", ");
  const ready = status.workers.filter((worker) => worker.state === "ready").length;
  return at("tiles").replaceChildren(
    tile(sum.liveQueries, "live queries", `${sum.inflightRequests} requests now`),
    tile(sum.runningBackends, "runtimes running", others || `of ${sum.backends}`),
    tile(sum.routes, "routes", `read ${age(status.reload.ageSeconds)} ago`),
    tile(sum.healthyCoordinators, "coordinators healthy", sum.startingCoordinators ? `${sum.startingCoordinators} starting` : ""),
    tile(bad.length, "not healthy", unreachable ? `${unreachable} unreachable` : "", bad.length ? "bad" : ""),
    tile(sum.openCircuits, "circuits open", "", sum.openCircuits ? "warn" : ""),
    tile(`${ready}/${status.workers.length}`, "workers ready", "", ready < status.workers.length ? "warn" : ""),
  );
}

function selectors(route) {
  const cell = make("td", "selectors");
  for (const host of route.hostnames) cell.append(make("span", "sub", ...name(host)));
  for (const header of route.headers) cell.append(make("span", "sub", "header ", ...name(header)));
  if (route.default) cell.append(pill("default"));
  return cell;
}

// A runtime that is suspended has no coordinator to reach: nothing is wrong.
const expected = (backend, health) => backend.state === "PAUSED" && health.state === "sleeping";

function unwell() {
  const found = new Map();
  for (const route of status.routes) {
    for (const backend of route.backends) {
      for (const { address, health } of backend.coordinators) {
        const bad = (health.state === "unhealthy" || health.state === "sleeping") && !expected(backend, health);
        if (bad) found.set(`${backend.namespace}/${backend.name} ${address}`, health.state);
      }
    }
  }
  return [...found.values()];
}

function rows(route) {
  const found = [];
  for (const backend of route.backends) {
    const coordinators = backend.coordinators.length ? backend.coordinators : [null];
    for (const coordinator of coordinators) {
      const first = found.length === 0;
      const row = make("tr", "");
      row.append(first ? make("td", "name", ...name(route.name), route.routingGroup === route.name ? null : make("span", "sub", "group ", ...name(route.routingGroup))) : make("td", ""));
      row.append(first ? selectors(route) : make("td", ""));
      row.append(make("td", "name", ...name(`${backend.namespace}/${backend.name}`), backend.capacityUnits > 1 ? make("span", "sub", `${backend.capacityUnits} capacity units`) : null));
      row.append(make("td", "", pill(backend.active ? backend.state : "inactive")));
      if (coordinator === null) {
        row.append(make("td", "coordinator", make("span", "sub", "no address for ", ...name(backend.coordinator))), make("td", ""), make("td", ""), make("td", "number", "0"), make("td", "number", "0"));
      } else {
        const { health, circuitBreaker: circuit } = coordinator;
        row.append(
          make("td", "coordinator", make("span", "address", ...name(coordinator.address)), coordinator.coordinatorId ? make("span", "sub", `process ${coordinator.coordinatorId}`) : null),
          make("td", "health", pill(health.state, `asked ${age(health.ageSeconds)} ago`, expected(backend, health) ? "" : undefined), health.detail ? make("span", "sub", health.detail) : null),
          make("td", "", pill(circuit.state), circuit.retryInSeconds ? make("span", "sub", `next try in ${age(circuit.retryInSeconds)}`) : null),
          make("td", "number", String(coordinator.liveQueries)),
          make("td", "number", String(coordinator.inflightRequests)),
        );
      }
      found.push(row);
    }
  }
  return found;
}

function routes() {
  const wanted = at("filter").value.trim().toLowerCase();
  const matching = status.routes.filter((route) => !wanted || JSON.stringify(route).toLowerCase().includes(wanted));
  const found = [];
  for (const route of matching) {
    found.push(...rows(route));
    if (found.length >= MAX_ROWS) break;
  }
  if (!found.length) {
    const cell = make("td", "empty", status.routes.length ? "No route matches the filter." : "No routes. They appear when a runtime is created.");
    cell.colSpan = 9;
    found.push(make("tr", "", cell));
  }
  at("routes").replaceChildren(...found);
  at("shown").textContent = found.length >= MAX_ROWS || wanted ? `${Math.min(matching.length, MAX_ROWS)} of ${status.routes.length} routes; filter to narrow them down` : "";
}

function problems() {
  const found = status.reload ? status.reload.problems : [];
  at("problems-section").hidden = found.length === 0;
  at("problems").replaceChildren(...found.slice(0, 100).map((problem) => make("li", "", problem)));
}

function workers() {
  at("workers").replaceChildren(...status.workers.map((worker) => make(
    "tr", "",
    make("td", "name", String(worker.index)),
    make("td", "", worker.pid ? `pid ${worker.pid}` : "none"),
    make("td", "", pill(worker.state), worker.detail ? make("span", "sub", worker.detail) : null),
    make("td", "number", age(worker.ageSeconds)),
    make("td", "number", String(worker.restarts)),
  )));
}

function show() {
  banners();
  tiles();
  routes();
  problems();
  workers();
  at("freshness").textContent = `as of ${new Date(status.generatedAt).toLocaleTimeString()}`;
}

async function refresh() {
  try {
    const reply = await fetch("api/gateway/status", { cache: "no-store" });
    if (!reply.ok) throw new Error(`status ${reply.status}`);
    status = await reply.json();
    show();
  } catch (error) {
    at("banners").replaceChildren(banner("bad", "This gateway does not answer", String(error.message ?? error)));
  }
  setTimeout(refresh, document.hidden ? SECONDS * 5000 : SECONDS * 1000);
}

at("filter").addEventListener("input", () => status && routes());
refresh();
