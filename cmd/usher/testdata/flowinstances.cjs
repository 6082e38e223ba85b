// Every operation of the door, called through the client that is published for
// the API whose dialect it speaks. What it answers is held against the client's
// own schema on the way, by the test that runs this.
const assert = require("node:assert/strict");
const { createHmac } = require("node:crypto");
const { Configuration, FlowsApi, StagesApi, PoliciesApi, ManagedApi, ResponseError } = require("@goauthentik/api");

const { BASE, OTHER, ADMIN, OPERATOR, VIEWER, EDITOR, FOREIGN } = process.env;

// browser is a fetch with cookies, which follows redirects as browsers do.
function browser() {
  const jar = new Map();
  return Object.assign(async (url, init = {}) => {
    for (let hops = 0; hops < 10; hops++) {
      const headers = new Headers(init.headers);
      if (jar.size) headers.set("Cookie", [...jar].map(([k, v]) => `${k}=${v}`).join("; "));
      const answer = await fetch(url, { ...init, headers, redirect: "manual" });
      for (const line of answer.headers.getSetCookie()) {
        const [, name, value] = line.match(/^([^=]+)=([^;]*)/);
        if (/max-age=(0|-)/i.test(line)) jar.delete(name);
        else jar.set(name, value);
        assert.match(line, /HttpOnly/);
        assert.match(line, /SameSite=Lax/);
      }
      if (answer.status !== 302) return answer;
      url = new URL(answer.headers.get("Location"), url).href;
      init = { headers: { Accept: "application/json" } };
    }
    throw new Error("it goes round in circles");
  }, { jar });
}

const as = (key, base = BASE, fetchApi = fetch) =>
  new Configuration({ basePath: base + "/api/v3", fetchApi, accessToken: key });

async function refused(status, doing, look = () => {}) {
  let body;
  await assert.rejects(doing, (err) => {
    assert.ok(err instanceof ResponseError, String(err));
    body = err.response;
    assert.equal(err.response.status, status);
    return true;
  });
  look(await body.json());
}

async function admin(query) {
  const answer = await fetch(ADMIN + "/graphql", {
    method: "POST", body: JSON.stringify({ query }),
    headers: { "Content-Type": "application/json", Authorization: "Bearer " + OPERATOR },
  });
  const { data, errors } = await answer.json();
  assert.equal(errors, undefined, JSON.stringify(errors));
  assert.doesNotMatch(JSON.stringify(data), /"userErrors":\[\{/);
  return data;
}

// configure edits a section of the tenant's configuration, and waits until who
// runs a flow sees it: a node hears of a new version in a moment.
async function configure(section, input) {
  await admin(`mutation { update${section}(input: {tenant: "demo", autoPublish: true, ${input}}) { userErrors { message } } }`);
  await seen("Welcome " + ++configured);
}
let configured = 0;

// seen gives the login flow a title, and waits until it is shown.
async function seen(title) {
  await new FlowsApi(as(EDITOR)).flowsInstancesPartialUpdate({ slug: "default-authentication-flow", patchedFlowRequest: { title } });
  for (let i = 0; i < 300; i++) {
    if ((await walk("login-default").at()).flowInfo.title === title) return;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error("nobody sees the new configuration");
}

// sent is the newest message to an address.
async function sent(to) {
  const { tenant } = await admin(`{ tenant(slug: "demo") { messages(first: 50) { nodes { to code link createdAt } } } }`);
  const mine = tenant.messages.nodes.filter((m) => m.to === to).sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1));
  assert.ok(mine.length, "nothing was sent to " + to);
  return mine[0];
}

async function reads() {
  const flows = new FlowsApi(as(VIEWER));
  const all = await flows.flowsInstancesList({});
  const slugs = all.results.map((f) => f.slug);
  for (const slug of ["login-default", "signup-default", "signup_login-default", "account_recovery-default", "reauth-default", "verification-default", "settings-default", "logout-default"])
    assert.ok(slugs.includes(slug), slug + " is not in " + slugs);
  assert.equal(all.pagination.count, slugs.length);
  assert.deepEqual(slugs, [...slugs].sort());

  const login = await flows.flowsInstancesRetrieve({ slug: "default-authentication-flow" });
  assert.deepEqual(login, await flows.flowsInstancesRetrieve({ slug: "login-default" }));
  assert.equal(login.designation, "authentication");
  assert.equal(login.title, "Sign in");
  for (const [alias, slug] of [["enrollment", "signup"], ["recovery", "account_recovery"], ["invalidation", "logout"]])
    assert.equal((await flows.flowsInstancesRetrieve({ slug: `default-${alias}-flow` })).slug, slug + "-default");

  const found = async (by) => (await flows.flowsInstancesList(by)).results.map((f) => f.slug);
  assert.deepEqual(await found({ slug: "default-authentication-flow" }), ["login-default"]);
  assert.deepEqual(await found({ flowUuid: login.pk }), ["login-default"]);
  assert.deepEqual(await found({ name: "login-default" }), ["login-default"]);
  assert.deepEqual(await found({ designation: "recovery" }), ["account_recovery-default"]);
  assert.deepEqual(await found({ search: "OUT" }), ["logout-default"]);
  assert.deepEqual(await found({ deniedAction: "continue" }), []);
  assert.deepEqual(await found({ ordering: "-slug" }), [...slugs].sort().reverse());
  const two = await flows.flowsInstancesList({ page: 2, pageSize: 2, ordering: "slug" });
  assert.deepEqual(two.results.map((f) => f.slug), [...slugs].sort().slice(2, 4));
  assert.deepEqual([two.pagination.previous, two.pagination.current, two.pagination.next, two.pagination.startIndex, two.pagination.endIndex], [1, 2, 3, 3, 4]);
  await refused(404, flows.flowsInstancesList({ page: 99 }), (e) => assert.ok(e.detail));
  await refused(400, flows.flowsInstancesList({ designation: "nonsense" }), (e) => assert.ok(e.designation));
  await refused(400, flows.flowsInstancesList({ flowUuid: "nonsense" }), (e) => assert.ok(e.flow_uuid));

  assert.match((await flows.flowsInstancesDiagramRetrieve({ slug: "login-default" })).diagram, /^graph TD\n/);
  assert.equal((await flows.flowsInstancesExecuteRetrieve({ slug: "login-default" })).link, "/api/v3/flows/executor/login-default/");
  assert.equal((await flows.flowsInstancesCacheInfoRetrieve()).count, 0);
  const users = await flows.flowsInstancesUsedByList({ slug: "login-default" });
  assert.deepEqual(users.map((u) => u.name), ["signup_login-default"]);

  // Stages and bindings say the same.
  const bindings = await flows.flowsBindingsList({ target: login.pk, ordering: "order" });
  assert.deepEqual([...new Set(bindings.results.map((b) => b.stage))], login.stages);
  assert.deepEqual(bindings.results.map((b) => b.order), bindings.results.map((_, i) => 10 * (i + 1)));
  const one = bindings.results[0];
  assert.deepEqual(await flows.flowsBindingsRetrieve({ fsbUuid: one.pk }), one);
  assert.equal(one.stageObj.metaModelName, "authentik_stages_identification.identificationstage");
  assert.deepEqual(await flows.flowsBindingsUsedByList({ fsbUuid: one.pk }), []);

  await refused(404, flows.flowsInstancesRetrieve({ slug: "nothing" }), (e) => assert.ok(e.detail));
  await refused(400, flows.flowsInstancesRetrieve({ slug: "a.b" }), (e) => assert.ok(e.slug));
  await refused(403, new FlowsApi(as("")).flowsInstancesRetrieve({ slug: "login-default" }), (e) => assert.ok(e.detail));
  for (const key of ["nonsense", FOREIGN])
    await refused(403, new FlowsApi(as(key)).flowsInstancesRetrieve({ slug: "login-default" }), (e) => assert.ok(e.detail));
  return { login, binding: one };
}

// Another tenant's keys, slugs and UUIDs mean nothing.
async function isolation({ login, binding }) {
  const other = new FlowsApi(as(FOREIGN, OTHER));
  const theirs = await other.flowsInstancesRetrieve({ slug: "login-default" });
  assert.notEqual(theirs.pk, login.pk);
  assert.deepEqual((await other.flowsInstancesList({ flowUuid: login.pk })).results, []);
  assert.deepEqual((await other.flowsBindingsList({ target: login.pk })).results, []);
  await refused(404, other.flowsBindingsRetrieve({ fsbUuid: binding.pk }));
  await refused(404, new StagesApi(as(FOREIGN, OTHER)).stagesAllRetrieve({ stageUuid: binding.stage }));
  await refused(403, new FlowsApi(as(VIEWER, OTHER)).flowsInstancesList({}));
  // An operator's key holds at every tenant.
  assert.equal((await new FlowsApi(as(OPERATOR, OTHER)).flowsInstancesRetrieve({ slug: "login-default" })).pk, theirs.pk);
}

// The collections that are only read: each operation of each, and every write is
// refused with the reason.
async function collections() {
  await configure("Authenticators", `primary: ["primary_password", "primary_passkey"]`);
  const nowhere = "3fa85f64-5717-4562-b3fc-2c963f66afa6";
  const types = ["StagesAll", "StagesIdentification", "StagesPassword", "StagesAuthenticatorValidate", "StagesAuthenticatorStatic", "StagesAuthenticatorWebauthn",
    "StagesPromptStages", "StagesPromptPrompts", "StagesEmail", "StagesDeny", "StagesUserWrite", "StagesUserLogin", "StagesUserLogout", "StagesConsent",
    "PoliciesAll", "PoliciesBindings", "FlowsBindings"];
  const apis = { S: StagesApi, P: PoliciesApi, F: FlowsApi };
  const sample = { name: "x", backends: [], fields: [], fieldKey: "x", label: "x", type: "text", target: nowhere, stage: nowhere, order: 1 };
  for (const type of types) {
    const api = new apis[type[0]](as(EDITOR));
    const prefix = type[0].toLowerCase() + type.slice(1);
    const call = (operation, pk) => {
      const source = api[prefix + operation + "RequestOpts"]?.toString();
      if (!source) return null;
      const parameters = {};
      for (const [, name] of source.matchAll(/requestParameters\[['"](\w+)['"]\] == null/g)) parameters[name] = /Uuid$/.test(name) ? pk : sample;
      for (const [, name] of source.matchAll(/requestParameters\[['"](patched\w+)['"]\]/g)) parameters[name] = sample;
      return api[prefix + operation](parameters);
    };
    const { results, pagination } = await call("List");
    assert.equal(pagination.count, results.length);
    const pk = results[0]?.pk ?? nowhere;
    const there = results.length > 0;
    if (there) {
      const row = await call("Retrieve", pk);
      assert.deepEqual(row, results[0]);
      assert.deepEqual(await call("UsedByList", pk), []);
    } else {
      await refused(404, call("Retrieve", pk));
      await refused(404, call("UsedByList", pk));
    }
    for (const operation of ["Update", "PartialUpdate", "Destroy"]) {
      const called = call(operation, pk);
      if (called) await refused(there ? 400 : 404, called, (e) => there && assert.match(e.non_field_errors[0], /\w/));
    }
    const made = call("Create");
    if (made) await refused(400, made, (e) => assert.match(e.non_field_errors[0], /\w/));
    console.log(type, results.length);
  }
}

async function writes() {
  const flows = new FlowsApi(as(EDITOR));
  const fresh = { name: "Staff", slug: "login-staff", title: "Staff only", designation: "authentication", layout: "content_left", deniedAction: "message" };
  await refused(403, new FlowsApi(as(VIEWER)).flowsInstancesCreate({ flowRequest: fresh }), (e) => assert.ok(e.detail));
  const made = await flows.flowsInstancesCreate({ flowRequest: fresh });
  for (const [key, value] of Object.entries(fresh)) assert.equal(made[key], value, key);
  assert.deepEqual(made, await flows.flowsInstancesRetrieve({ slug: "login-staff" }));
  assert.deepEqual(made.stages, (await flows.flowsInstancesRetrieve({ slug: "login-default" })).stages);
  await refused(400, flows.flowsInstancesCreate({ flowRequest: fresh }), (e) => assert.match(e.slug[0], /already/));
  await refused(400, flows.flowsInstancesCreate({ flowRequest: { ...fresh, slug: "staff" } }), (e) => assert.match(e.slug[0], /login-staff/));
  await refused(400, flows.flowsInstancesCreate({ flowRequest: { ...fresh, slug: "signup-staff" } }), (e) => assert.ok(e.designation));
  await refused(400, flows.flowsInstancesCreate({ flowRequest: { slug: "login-x", designation: "authentication" } }), (e) => assert.equal([e.name, e.title].flat().length, 2));
  await refused(400, flows.flowsInstancesCreate({ flowRequest: { ...fresh, slug: "login-x", authentication: "require_superuser" } }), (e) => assert.ok(e.authentication));

  const patch = (slug, patchedFlowRequest) => flows.flowsInstancesPartialUpdate({ slug, patchedFlowRequest });
  const changed = await patch("login-staff", { title: "Staff", compatibilityMode: true, background: "/static/staff.jpg" });
  assert.equal(changed.title, "Staff");
  assert.equal(changed.compatibilityMode, true);
  assert.equal(changed.backgroundUrl, "/static/staff.jpg");
  assert.equal(changed.layout, "content_left");
  const put = await flows.flowsInstancesUpdate({ slug: "login-staff", flowRequest: { ...changed, title: "The staff" } });
  assert.deepEqual(put, { ...changed, title: "The staff" });
  // A derived flow is presented too, and stays derived.
  const derived = await patch("default-authentication-flow", { title: "Welcome" });
  assert.equal(derived.title, "Welcome");
  await refused(400, flows.flowsInstancesDestroy({ slug: "login-default" }), (e) => assert.ok(e.non_field_errors));
  for (const [field, value] of [["slug", "login-other"], ["designation", "recovery"], ["policyEngineMode", "all"], ["title", ""], ["background", "not a url"]])
    await refused(400, patch("login-staff", { [field]: value }), (e) => assert.ok(e[field.replace(/[A-Z]/g, (c) => "_" + c.toLowerCase())], JSON.stringify(e)));

  // What is exported is imported again, also where it came from.
  const text = await (await flows.flowsInstancesExportRetrieveRaw({ slug: "login-staff" })).raw.text();
  assert.match(text, /^version: 1/);
  const file = (yaml) => ({ file: new Blob([yaml], { type: "application/yaml" }) });
  const managed = new ManagedApi(as(EDITOR));
  const same = await managed.managedBlueprintsImportCreate(file(text));
  assert.equal(same.success, true, JSON.stringify(same.logs));
  await flows.flowsInstancesDestroy({ slug: "login-staff" });
  await refused(404, flows.flowsInstancesRetrieve({ slug: "login-staff" }));
  const back = await managed.managedBlueprintsImportCreate(file(text));
  assert.equal(back.success, true, JSON.stringify(back.logs));
  assert.deepEqual(await flows.flowsInstancesRetrieve({ slug: "login-staff" }), put);
  assert.equal(await (await flows.flowsInstancesExportRetrieveRaw({ slug: "login-staff" })).raw.text(), text);
  for (const bad of ["version: 1\nentries:\n- model: authentik_stages_captcha.captchastage\n  identifiers: {name: x}\n", "{{", text.replace("type: identify", "type: nonsense"), text.replace("type: identify", "kind: identify")]) {
    const result = await managed.managedBlueprintsImportCreate(file(bad));
    assert.equal(result.success, false);
    assert.ok(result.logs.some((l) => l.logLevel === "error"));
  }
  assert.deepEqual(await flows.flowsInstancesRetrieve({ slug: "login-staff" }), put);
  await flows.flowsInstancesCacheClearCreate();
  // Each of these is a version with its author, and a row of the audit log.
  const { tenant } = await admin(`{ tenant(slug: "demo") { auditLog(first: 5, filter: {action: "config.edit"}) { nodes { action actorKind } } } }`);
  assert.equal(tenant.auditLog.nodes[0].actorKind, "API_KEY");
}

// walk runs a flow in a browser of its own.
function walk(slug, query = "", b = browser()) {
  const flows = new FlowsApi(as(undefined, BASE, b));
  return {
    browser: b,
    at: () => flows.flowsExecutorGet({ flowSlug: slug, query }),
    answer: (component, rest = {}) => flows.flowsExecutorSolve({ flowSlug: slug, query, flowChallengeResponseRequest: { component, ...rest } }),
  };
}

async function signedIn(b) {
  const answer = await b(BASE + "/api/v1/session");
  return answer.status === 200 ? (await answer.json()).session : null;
}

const password = "correct horse battery";

async function executes() {
  await seen("Welcome");
  const up = walk("default-enrollment-flow", "next=/home");
  let at = await up.at();
  assert.equal(at.component, "ak-stage-prompt");
  assert.deepEqual(at.fields.map((f) => f.fieldKey), ["email", "username", "password", "password_repeat"]);
  at = await up.answer("ak-stage-prompt", { username: "ada", password, password_repeat: "other" });
  assert.equal(at.responseErrors.password_repeat[0].code, "mismatch");
  at = await up.answer("ak-stage-prompt", { password, password_repeat: password });
  assert.equal(at.responseErrors.email[0].code, "required");
  at = await up.answer("ak-stage-prompt", { username: "ada", password: "short", password_repeat: "short" });
  assert.equal(at.responseErrors.password[0].code, "minimum_length");
  at = await up.answer("ak-stage-prompt", { username: "ada", password, password_repeat: password });
  assert.equal(at.component, "xak-flow-redirect");
  assert.equal(at.to, "/home");
  assert.ok(await signedIn(up.browser));
  at = await walk("default-enrollment-flow").answer("ak-stage-prompt"); // with no run yet one begins
  assert.equal(at.component, "ak-stage-prompt");
  const again = walk("signup-default");
  await again.at();
  at = await again.answer("ak-stage-prompt", { username: "ada", password, password_repeat: password });
  assert.ok(at.responseErrors.non_field_errors, "the name is taken");

  // Signing out ends the session.
  at = await walk("default-invalidation-flow", "", up.browser).at();
  assert.equal(at.component, "xak-flow-redirect");
  assert.equal(at.to, "/");
  assert.equal(await signedIn(up.browser), null);

  const login = walk("default-authentication-flow", "next=https%3A%2F%2Felsewhere.example%2F");
  at = await login.at();
  assert.equal(at.component, "ak-stage-identification");
  assert.deepEqual(at.userFields, ["email", "username"]);
  assert.equal(at.flowInfo.title, "Welcome");
  at = await login.answer("ak-stage-identification", { uidField: "" });
  assert.equal(at.responseErrors.uid_field[0].code, "required");
  at = await login.answer("ak-stage-password", { password });
  assert.ok(at.responseErrors.component);
  at = await login.answer("ak-stage-identification", { uidField: "ada" });
  assert.equal(at.component, "ak-stage-password");
  at = await login.answer("ak-stage-password", { password: "wrong" });
  assert.equal(at.responseErrors.password[0].code, "InvalidCredentials");
  assert.equal(await signedIn(login.browser), null);
  assert.equal((await login.at()).component, "ak-stage-password"); // a reload stays
  at = await login.answer("ak-stage-password", { password });
  assert.equal(at.component, "xak-flow-redirect");
  assert.equal(at.to, "/", "a link to a flow leads nowhere else");
  assert.ok(await signedIn(login.browser));
  assert.equal((await login.at()).component, "ak-stage-identification"); // and a new run begins
  // Giving up begins anew.
  at = await login.answer("ak-stage-identification", { uidField: "ada" });
  await login.browser(BASE + at.flowInfo.cancelUrl).catch(() => {});
  assert.equal((await login.at()).component, "ak-stage-identification");

  // A flow about who is signed in denies everybody else.
  at = await walk("reauth-default").at();
  assert.equal(at.component, "ak-stage-access-denied");
  assert.ok(at.errorMessage);
  at = await walk("reauth-default", "next=/home").at();
  assert.equal(at.to, "/home"); // message_continue
  at = await walk("reauth-default", "", login.browser).at();
  assert.equal(at.component, "ak-stage-password");
  await refused(404, walk("nothing").at());
  await refused(400, walk("a.b").at());

  // Another page can't answer for the user.
  const cross = await fetch(BASE + "/api/v3/flows/executor/login-default/?query=", {
    method: "POST", body: "{}", headers: { "Content-Type": "application/json", Origin: "https://evil.example", Cookie: "usher_flow=x" },
  });
  assert.equal(cross.status, 403);
}

async function recovers() {
  const up = walk("signup-default");
  await up.at();
  await up.answer("ak-stage-prompt", { email: "grace@example.com", password, password_repeat: password });
  const lost = walk("default-recovery-flow");
  let at = await lost.at();
  assert.equal(at.component, "ak-stage-identification");
  at = await lost.answer("ak-stage-identification", { uidField: "grace@example.com" });
  assert.deepEqual(at.fields.map((f) => f.fieldKey), ["code"]);
  at = await lost.answer("ak-stage-email"); // too soon for another
  assert.ok(at.responseErrors.code, JSON.stringify(at));
  at = await lost.answer("ak-stage-prompt", { code: "000000" });
  assert.ok(at.responseErrors.code);
  at = await lost.answer("ak-stage-prompt", { code: (await sent("grace@example.com")).code });
  assert.deepEqual(at.fields.map((f) => f.fieldKey), ["password", "password_repeat"]);
  at = await lost.answer("ak-stage-prompt", { password: "another horse battery", password_repeat: "another horse battery" });
  assert.equal(at.component, "xak-flow-redirect");
  const login = walk("login-default");
  await login.at();
  await login.answer("ak-stage-identification", { uidField: "grace@example.com" });
  at = await login.answer("ak-stage-password", { password: "another horse battery" });
  assert.equal(at.component, "xak-flow-redirect");
}

// totp is the code of an authenticator app (RFC 6238).
function totp(uri) {
  const key = new URL(uri).searchParams.get("secret");
  let bits = "";
  for (const c of key) bits += "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(c).toString(2).padStart(5, "0");
  const bytes = Buffer.from(bits.match(/.{8}/g).map((b) => parseInt(b, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30000)));
  const sum = createHmac("sha1", bytes).update(counter).digest();
  return String((sum.readUInt32BE(sum[19] & 15) & 0x7fffffff) % 1e6).padStart(6, "0");
}

// What is one's own is changed while signed in, and an address verified by anybody.
async function settles() {
  const login = walk("login-default");
  await login.at();
  await login.answer("ak-stage-identification", { uidField: "grace@example.com" });
  await login.answer("ak-stage-password", { password: "another horse battery" });
  const settings = walk("settings-default", "", login.browser);
  let at = await settings.at();
  assert.equal(at.component, "ak-stage-prompt");
  assert.ok(at.fields[0].choices.some((c) => c.value === "password"), JSON.stringify(at.fields));
  at = await settings.answer("ak-stage-prompt", { setting: "nonsense" });
  assert.ok(at.responseErrors.setting);
  at = await settings.answer("ak-stage-prompt", { setting: "password", password: "short", password_repeat: "short" });
  assert.ok(at.responseErrors.password);
  at = await settings.answer("ak-stage-prompt", { setting: "password", password, password_repeat: password });
  assert.equal(at.component, "xak-flow-redirect");
  assert.equal((await walk("settings-default").at()).component, "ak-stage-access-denied");
  // A state token is worth nothing at another tenant: there a run of its own begins.
  const away = browser();
  for (const [name, value] of login.browser.jar) away.jar.set(name, value);
  const theirs = new FlowsApi(as(undefined, OTHER, away));
  assert.equal((await theirs.flowsExecutorGet({ flowSlug: "settings-default", query: "" })).component, "ak-stage-access-denied");
  assert.equal(await signedIn(away).then((s) => s !== null), true, "at home the cookie goes on to hold");

  const up = walk("signup-default");
  await up.at();
  await up.answer("ak-stage-prompt", { email: "kathleen@example.com", password, password_repeat: password });
  const verify = walk("verification-default");
  await verify.at();
  at = await verify.answer("ak-stage-identification", { uidField: "kathleen@example.com" });
  assert.deepEqual(at.fields?.map((f) => f.fieldKey), ["code"], JSON.stringify(at));
  at = await verify.answer("ak-stage-prompt", { code: (await sent("kathleen@example.com")).code });
  assert.equal(at.component, "xak-flow-redirect");
}

// With second factors required, and addresses verified.
async function factors() {
  await configure("Authenticators", `secondary: ["secondary_totp"], secondaryMode: "required"`);
  await configure("Otp", `resendCooldownSeconds: 1`);
  await configure("Verification", `email: {required: true}`);
  const up = walk("signup-default");
  let at = await up.at();
  assert.deepEqual(at.fields.map((f) => f.fieldKey), ["email", "username"]); // an address is verified before the password
  at = await up.answer("ak-stage-prompt", { email: "mary@example.com" });
  assert.deepEqual(at.fields.map((f) => f.fieldKey), ["code"]);
  at = await up.answer("ak-stage-prompt", { code: (await sent("mary@example.com")).code });
  assert.deepEqual(at.fields.map((f) => f.fieldKey), ["password", "password_repeat"]);
  at = await up.answer("ak-stage-prompt", { password, password_repeat: password });
  assert.equal(at.component, "ak-stage-authenticator-totp");
  at = await up.answer("ak-stage-authenticator-totp", { code: "000000" });
  assert.ok(at.responseErrors.code);
  at = await up.answer("ak-stage-authenticator-totp", { code: totp(at.configUrl) });
  assert.equal(at.component, "ak-stage-authenticator-static");
  const codes = at.codes;
  at = await up.answer("ak-stage-authenticator-static");
  assert.equal(at.component, "xak-flow-redirect");
  assert.ok(await signedIn(up.browser));

  const login = walk("login-default");
  await login.at();
  await login.answer("ak-stage-identification", { uidField: "mary@example.com" });
  at = await login.answer("ak-stage-password", { password });
  assert.equal(at.component, "ak-stage-authenticator-validate");
  assert.deepEqual(at.deviceChallenges.map((d) => d.deviceClass), ["totp", "static"]);
  at = await login.answer("ak-stage-authenticator-validate", { selectedChallenge: at.deviceChallenges[0] });
  assert.equal(at.component, "ak-stage-authenticator-validate");
  at = await login.answer("ak-stage-authenticator-validate", { code: "AAAAAAAAAA" });
  assert.ok(at.responseErrors.code);
  at = await login.answer("ak-stage-authenticator-validate", { code: codes[0] });
  assert.equal(at.component, "xak-flow-redirect");
  const session = await signedIn(login.browser);
  assert.ok(session.amr.includes("mfa"), session.amr);

}

// With codes by mail, and by links.
async function messages() {
  let at;
  await new Promise((done) => setTimeout(done, 1100)); // until another message may be sent
  await configure("Authenticators", `force: "a test", primary: ["primary_oob_otp_email", "primary_password"], secondaryMode: "disabled"`);
  const mail = walk("login-default");
  await mail.at();
  at = await mail.answer("ak-stage-identification", { uidField: "mary@example.com" });
  assert.equal(at.component, "ak-stage-authenticator-validate");
  assert.deepEqual(at.deviceChallenges.map((d) => d.deviceClass), ["email"]);
  at = await mail.answer("ak-stage-authenticator-validate", { selectedChallenge: at.deviceChallenges[0] });
  at = await mail.answer("ak-stage-authenticator-validate", { code: (await sent("mary@example.com")).code });
  assert.equal(at.component, "xak-flow-redirect");
  at = await walk("login-default").answer("ak-stage-identification", { uidField: "mary@example.com" }); // no run yet
  assert.equal(at.component, "ak-stage-identification");

  await configure("Otp", `email: {form: "link"}`);
  const link = walk("signup-default");
  await link.at();
  at = await link.answer("ak-stage-prompt", { email: "joan@example.com" });
  assert.equal(at.component, "ak-stage-email");
  at = await link.answer("ak-stage-email");
  assert.ok(at.responseErrors.non_field_errors, "it hasn't been followed yet");
  const { link: followed } = await sent("joan@example.com");
  const approved = await fetch(BASE + "/link", { method: "POST", body: new URLSearchParams({ code: new URL(followed).searchParams.get("code") }) });
  assert.equal(approved.status, 200);
  at = await link.answer("ak-stage-email");
  assert.deepEqual(at.fields.map((f) => f.fieldKey), ["authentication", "password", "password_repeat"]);
  assert.deepEqual(at.fields[0].choices.map((c) => c.value), ["primary_oob_otp_email", "primary_password"]);
  at = await link.answer("ak-stage-prompt", { authentication: "primary_oob_otp_email" }); // the address is proved already
  assert.equal(at.component, "xak-flow-redirect");
}

(async () => {
  const seen = await reads();
  await isolation(seen);
  await writes();
  await executes();
  await recovers();
  await settles();
  await factors();
  await collections();
  await messages();
})().catch((err) => {
  console.error(err);
  process.exit(1);
});
