// Requests to the document's HTTP interface (page/API.md).

/** A refused request: `message` says the cause, `detail` the next step, `kind` is the word of its type. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.title ?? `the server answered ${status}`);
    this.status = status;
    this.detail = problem.detail ?? "";
    this.kind = String(problem.type ?? "").split("/").at(-1);
    this.problem = problem;
  }
}

export class Api {
  constructor(id, name) {
    this.base = `/api/v1/docs/${encodeURIComponent(id)}`;
    this.name = name;
  }

  async request(method, path, body) {
    let response;
    try {
      response = await fetch(this.base + path, {
        method,
        headers: { "x-doc-user": encodeURIComponent(this.name), ...(body && { "content-type": "application/json" }) },
        body: body && JSON.stringify(body),
      });
    } catch {
      throw new Refused(0, { title: "The server cannot be reached", detail: "Check that it runs, then try again." });
    }
    const text = await response.text();
    let value;
    try {
      value = text === "" ? undefined : JSON.parse(text);
    } catch {
      value = { title: `The server answered ${response.status} without JSON` };
    }
    if (!response.ok) throw new Refused(response.status, value ?? {});
    return value;
  }

  document = () => this.request("GET", "");
  log = (query) => this.request("GET", `/log?${new URLSearchParams(query)}`);
  blame = (section) => this.request("GET", `/blame/${encodeURIComponent(section)}`);
  diff = (section, from, to) => this.request("GET", `/diff?${new URLSearchParams({ section, from, to })}`);
  suggestions = () => this.request("GET", "/suggestions");
  decide = (n, verdict) => this.request("POST", `/suggestions/${n}/${verdict}`);
  lock = (sections, lease_ms, preempt) => this.request("POST", "/locks", { sections, lease_ms, ...(preempt && { preempt }) });
  renew = (section, token, lease_ms) => this.request("PUT", `/locks/${encodeURIComponent(section)}`, { token, lease_ms });
  release = (section, token) => this.request("DELETE", `/locks/${encodeURIComponent(section)}?token=${token}`);
  force = (section) => this.request("DELETE", `/locks/${encodeURIComponent(section)}?force=1`);
  revert = (what) => this.request("POST", "/revert", what);
}
