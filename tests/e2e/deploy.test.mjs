// deploy - what server/deploy/ gives an operator, tried: alerts by promtool, manifests against Kubernetes' own schemas, every metric
// that a rule or plot names against a real /metrics, and Debian's nginx with the configuration as it stands (its ports, names and
// certificate replaced) carrying WebSockets of two nodes through a restart of nginx, each session back on its own node. Envoy is not in Debian
// and is not run: its file is held against the fields and types of Envoy's v3 API. The image is built and run by `make docker-test`; here
// only whether it has every library that the server is linked with.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import nodeTest, { after } from "node:test";
import * as kubernetes from "./kubernetes.mjs";
import { parse, parseAllDocuments } from "yaml";
import * as jwt from "./jwt.mjs";
import { BUILD, count, scratch, start, until } from "./server_process.mjs";

const test = count(nodeTest);
const DEPLOY = "server/deploy";
const CLI = path.resolve(BUILD, "bin/necpnet");
const folder = scratch();
const children = [];
after(() => {
    for (const child of children) child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
});

const read = (name) => readFileSync(path.join(DEPLOY, name), "utf8");

// tool - a program of Debian's, run to its end; a missing one fails with the way out.
function tool(name, packageName, args, options = {}) {
    const done = spawnSync(name, args, { encoding: "utf8", timeout: 30000, ...options });
    assert.notEqual(done.error?.code, "ENOENT", `${name} is missing; fix: tools/setup.sh (Debian package ${packageName})`);
    return done;
}

test("alerts are right, fire on their cases and are silent beside them", () => {
    for (const args of [["check", "rules", "alerts.yml"], ["check", "config", "prometheus.yml"], ["test", "rules", "alerts.test.yml"]]) {
        const done = tool("promtool", "prometheus", args, { cwd: path.join(DEPLOY, "prometheus") });
        assert.equal(done.status, 0, done.stdout + done.stderr);
    }
    const rules = parse(read("prometheus/alerts.yml")).groups.flatMap((group) => group.rules.map((rule) => rule.alert));
    const tested = new Set(parse(read("prometheus/alerts.test.yml")).tests.flatMap((one) => one.alert_rule_test.map((rule) => rule.alertname)));
    assert.deepEqual(rules.filter((name) => !tested.has(name)), [], "an alert without a test");
});

test("every metric that an alert, a plot or the autoscaler names is there", async () => {
    const server = await start();
    try {
        const text = await (await fetch(server.base + "/metrics")).text();
        const known = new Set([...text.matchAll(/^(?:# TYPE )?(necpnet_[a-z0-9_]+)/gm)].map((match) => match[1]));
        const texts = { alerts: read("prometheus/alerts.yml"), plots: read("grafana/necpnet.json"), autoscaler: read("kubernetes/autoscaler.yaml") };
        for (const [where, content] of Object.entries(texts)) {
            const named = [...content.replace(/^ *#.*$/gm, "").matchAll(/\b(necpnet_[a-z0-9_]+)/g)].map((match) => match[1]);
            assert.ok(named.length > 0, where);
            for (const name of named) assert.ok(known.has(name), `${where}: ${name} is no metric of the server`);
        }
    } finally {
        await server.stop();
    }
});

test("manifests fit Kubernetes' schemas, and name each other rightly", () => {
    const files = readdirSync(path.join(DEPLOY, "kubernetes"));
    const listed = parse(read("kubernetes/kustomization.yaml")).resources;
    assert.deepEqual([...listed].sort(), files.filter((name) => name !== "kustomization.yaml").sort());
    const objects = listed.flatMap((name) => parseAllDocuments(read("kubernetes/" + name)).map((document) => {
        assert.deepEqual(document.errors, [], name);
        return document.toJS();
    }));
    for (const object of objects) kubernetes.validate(object);
    const find = (kind) => objects.find((object) => object.kind === kind);
    const set = find("StatefulSet");
    const labels = set.spec.template.metadata.labels;
    assert.deepEqual(set.spec.selector.matchLabels, labels);
    for (const service of objects.filter((object) => object.kind === "Service")) assert.deepEqual(service.spec.selector, labels);
    assert.ok(objects.some((object) => object.kind === "Service" && object.metadata.name === set.spec.serviceName));
    assert.equal(find("HorizontalPodAutoscaler").spec.scaleTargetRef.name, set.metadata.name);
    const [container] = set.spec.template.spec.containers;
    const drain_ms = Number(container.env.find((variable) => variable.name === "NECPNET_DRAIN_MS").value);
    assert.ok(set.spec.template.spec.terminationGracePeriodSeconds * 1000 > drain_ms, "Kubernetes would kill before the drain is over");
    const broken = structuredClone(set);
    broken.spec.replicas = "two";
    assert.throws(() => kubernetes.validate(broken), /replicas/);
});

test("the environment of manifests and compose file is one that the server takes", async () => {
    const [container] = parse(read("kubernetes/statefulset.yaml")).spec.template.spec.containers;
    const fromPod = Object.fromEntries(container.env.filter((variable) => /^(NECPNET|JWT)_/.test(variable.name)).map((variable) => [variable.name, variable.value]));
    const compose = parse(read("compose.yaml")).services.server.environment;
    for (const given of [fromPod, compose]) {
        const env = { NECPNET_MODE: "production" };
        for (const [name, value] of Object.entries(given)) {
            env[name] = (value ?? "").replace("$(POD_NAME)", "necpnet-0").replaceAll("$(POD_NAME)", "necpnet-0").replaceAll("$(MACHINE_ADDRESS)", "192.0.2.1");
        }
        env.NECPNET_TOKEN_KEYS = "1:" + "ab".repeat(32);
        env.JWT_SECRET = "x".repeat(32);
        const done = spawnSync(path.resolve(BUILD, "bin/necpnet-server"), ["--check-config"], { env, encoding: "utf8", timeout: 15000 });
        assert.equal(done.status, 0, done.stderr);
    }
});

// ---- the image ---------------------------------------------------------------------------------------------------------

test("the image has every library that the server and the command line are linked with", () => {
    const [, building, running] = read("Containerfile").split(/^FROM .*$/m);
    const packagesOf = (stage) => new Set(/--no-install-recommends([^&]*)/.exec(stage)[1].replaceAll("\\\n", " ").trim().split(/\s+/));
    const runtime = packagesOf(running);
    for (const words of tool("dpkg-query", "dpkg", ["-W", "-f", "${Depends}, ", ...runtime]).stdout.split(",")) runtime.add(words.trim().split(" ")[0]);
    for (const name of ["necpnet-server", "necpnet"]) {
        const needed = [...tool("readelf", "binutils", ["-d", path.resolve(BUILD, "bin", name)]).stdout.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map((match) => match[1]);
        const paths = new Map([...tool("ldd", "libc-bin", [path.resolve(BUILD, "bin", name)]).stdout.matchAll(/(\S+) => (\S+)/g)].map((match) => [match[1], match[2]]));
        for (const library of needed.filter((one) => !/^(libc|libm|libpthread|ld-linux.*|lib[ault]+san)\.so/.test(one))) {
            const owner = tool("dpkg", "dpkg", ["-S", paths.get(library)]).stdout || tool("dpkg", "dpkg", ["-S", "/usr" + paths.get(library)]).stdout;
            assert.ok(runtime.has(owner.split(":")[0]), `${name} needs ${library} of ${owner.trim()}, which the image has not`);
        }
    }
    const setup = tool("bash", "bash", ["tools/setup.sh", "--minimal", "--list"]).stdout.split("\n");
    for (const one of [...packagesOf(building)].filter((each) => /-dev$/.test(each))) assert.ok(setup.includes(one), `${one} is not in tools/setup.sh`);
    for (const one of setup.slice(0, setup.indexOf("git")).filter((each) => /^lib.*-dev$/.test(each))) assert.ok(packagesOf(building).has(one), `the image is built without ${one}`);
});

test("what an image is built from is there, and what is not needed stays out", () => {
    const rules = readFileSync(".dockerignore", "utf8").split("\n").filter((line) => line && !line.startsWith("#"));
    assert.equal(rules[0], "*");
    for (const rule of rules.filter((line) => line.startsWith("!") && !line.startsWith("!build/"))) assert.ok(existsSync(rule.slice(1)), rule);
    for (const folderOfSources of ["src", "platform", "server", "cli", "schemas", "tools"]) assert.ok(rules.includes("!" + folderOfSources));
});

// ---- Envoy -------------------------------------------------------------------------------------------------------------

// The messages of Envoy's v3 API as far as our file has them, field by field, from its reference. A name with [] is a list.
const TEXT = (value) => typeof value === "string";
const DURATION = (value) => /^\d+(\.\d+)?s$/.test(value);
const NUMBER = (value) => Number.isInteger(value) && value >= 0;
const BOOL = (value) => typeof value === "boolean";
const NUMBERS = (value) => Array.isArray(value) && value.every(NUMBER);
const TEXTS = (value) => Array.isArray(value) && value.every(TEXT);
const ENVOY = {
    Bootstrap: { node: "Node", static_resources: "StaticResources", admin: "Admin" },
    StaticResources: { listeners: ["Listener"], clusters: ["Cluster"] },
    Listener: { name: TEXT, address: "Address", filter_chains: ["FilterChain"], per_connection_buffer_limit_bytes: NUMBER },
    Address: { socket_address: "SocketAddress" },
    SocketAddress: { protocol: (value) => ["TCP", "UDP"].includes(value), address: TEXT, port_value: (value) => NUMBER(value) && value < 65536 },
    FilterChain: { name: TEXT, transport_socket: "Extension", filters: ["Extension"] },
    Extension: { name: TEXT, typed_config: "Any" },
    DownstreamTlsContext: { common_tls_context: "CommonTlsContext", require_client_certificate: BOOL },
    CommonTlsContext: { tls_params: "TlsParameters", tls_certificates: ["TlsCertificate"], alpn_protocols: TEXTS },
    TlsParameters: { tls_minimum_protocol_version: (value) => /^TLSv1_[0-3]$/.test(value), tls_maximum_protocol_version: (value) => /^TLSv1_[0-3]$/.test(value) },
    TlsCertificate: { certificate_chain: "DataSource", private_key: "DataSource" },
    DataSource: { filename: TEXT },
    HttpConnectionManager: {
        stat_prefix: TEXT, codec_type: TEXT, use_remote_address: BOOL, xff_num_trusted_hops: NUMBER, request_headers_timeout: DURATION, request_timeout: DURATION,
        stream_idle_timeout: DURATION, upgrade_configs: ["UpgradeConfig"], route_config: "RouteConfiguration", http_filters: ["Extension"],
    },
    UpgradeConfig: { upgrade_type: TEXT, enabled: BOOL },
    RouteConfiguration: { name: TEXT, virtual_hosts: ["VirtualHost"] },
    VirtualHost: { name: TEXT, domains: TEXTS, routes: ["Route"] },
    Route: { name: TEXT, match: "RouteMatch", route: "RouteAction", direct_response: "DirectResponseAction" },
    RouteMatch: { prefix: TEXT, path: TEXT },
    RouteAction: { cluster: TEXT, prefix_rewrite: TEXT, timeout: DURATION, idle_timeout: DURATION, retry_policy: "RetryPolicy" },
    RetryPolicy: { retry_on: TEXT, num_retries: NUMBER, per_try_timeout: DURATION, retriable_status_codes: NUMBERS },
    DirectResponseAction: { status: (value) => NUMBER(value) && value >= 100 && value < 600 },
    Router: {},
    Cluster: {
        name: TEXT, type: (value) => ["STATIC", "STRICT_DNS", "LOGICAL_DNS", "EDS"].includes(value), connect_timeout: DURATION,
        lb_policy: (value) => ["ROUND_ROBIN", "LEAST_REQUEST", "RING_HASH", "RANDOM", "MAGLEV"].includes(value), health_checks: ["HealthCheck"], load_assignment: "ClusterLoadAssignment",
    },
    HealthCheck: { timeout: DURATION, interval: DURATION, unhealthy_threshold: NUMBER, healthy_threshold: NUMBER, http_health_check: "HttpHealthCheck" },
    HttpHealthCheck: { path: TEXT, host: TEXT },
    ClusterLoadAssignment: { cluster_name: TEXT, endpoints: ["LocalityLbEndpoints"] },
    LocalityLbEndpoints: { lb_endpoints: ["LbEndpoint"] },
    LbEndpoint: { endpoint: "Endpoint" },
    Endpoint: { address: "Address" },
};
const NEEDED = { Listener: ["address"], HttpConnectionManager: ["stat_prefix", "route_config", "http_filters"], VirtualHost: ["name", "domains"], Route: ["match"], Cluster: ["name"],
    HealthCheck: ["timeout", "interval", "unhealthy_threshold", "healthy_threshold"], ClusterLoadAssignment: ["cluster_name"], HttpHealthCheck: ["path"], UpgradeConfig: ["upgrade_type"] };

function checkEnvoy(message, value, where = message) {
    assert.ok(value && typeof value === "object" && !Array.isArray(value), `${where} is no object`);
    for (const name of NEEDED[message] ?? []) assert.ok(name in value, `${where} has no ${name}`);
    for (const [name, inner] of Object.entries(value)) {
        if (message === "Any") break;
        const type = ENVOY[message][name];
        assert.ok(type, `${where}.${name} is no field of ${message}`);
        if (typeof type === "function") assert.ok(type(inner), `${where}.${name}: ${JSON.stringify(inner)}`);
        else if (Array.isArray(type)) inner.forEach((one, i) => checkEnvoy(type[0], one, `${where}.${name}[${i}]`));
        else checkEnvoy(type, inner, `${where}.${name}`);
    }
    if (message !== "Any") return;
    const { "@type": url, ...rest } = value;
    const named = /^type\.googleapis\.com\/envoy\.extensions\.[a-z_.]+\.v3\.([A-Za-z]+)$/.exec(url)?.[1];
    assert.ok(named in ENVOY, `${where}: ${url}`);
    checkEnvoy(named, rest, `${where}(${named})`);
}

test("the Envoy example has fields that Envoy knows, and routes as nginx does", () => {
    const envoy = parse(read("envoy/envoy.yaml"));
    checkEnvoy("Bootstrap", envoy);
    const { listeners: [listener], clusters } = envoy.static_resources;
    const manager = listener.filter_chains[0].filters[0].typed_config;
    const routes = manager.route_config.virtual_hosts[0].routes;
    for (const { route } of routes) if (route) assert.ok(clusters.some((one) => one.name === route.cluster), route.cluster);
    for (const one of clusters) assert.equal(one.load_assignment.cluster_name, one.name);
    assert.ok(manager.upgrade_configs.some((one) => one.upgrade_type === "websocket"));
    assert.equal(manager.http_filters.at(-1).name, "envoy.filters.http.router");
    const answer = (at) => routes.find(({ match }) => (match.path ? match.path === at : at.startsWith(match.prefix)));
    for (const node of ["node-1", "node-2"]) {
        const { route } = answer(`/nodes/${node}/ws`);
        assert.deepEqual([route.cluster, route.prefix_rewrite, route.timeout], [node, "/ws", "0s"], "a WebSocket has no deadline");
        const address = (name) => clusters.find((one) => one.name === name).load_assignment.endpoints[0].lb_endpoints.map((one) => one.endpoint.address.socket_address.port_value);
        assert.ok(address("nodes").includes(address(node)[0]));
        assert.match(read("nginx/necpnet.conf"), new RegExp(`${node} +127\\.0\\.0\\.1:${address(node)[0]};`));
    }
    for (const at of ["/metrics", "/nodes/node-3/ws"]) assert.equal(answer(at).direct_response.status, 404);
    assert.equal(answer("/health").route.cluster, "nodes");
    const broken = structuredClone(envoy);
    broken.static_resources.clusters[0].conect_timeout = "1s";
    assert.throws(() => checkEnvoy("Bootstrap", broken), /conect_timeout is no field of Cluster/);
});

// ---- nginx -------------------------------------------------------------------------------------------------------------

const freePort = () => new Promise((resolve) => {
    const probe = net.createServer().listen(0, "127.0.0.1", () => {
        const { port } = probe.address();
        probe.close(() => resolve(port));
    });
});

function makeCertificate() {
    const key = path.join(folder, "game.key");
    const pem = path.join(folder, "game.pem");
    const made = tool("openssl", "openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", pem]);
    assert.equal(made.status, 0, made.stderr);
    return { key, pem };
}

// The file of deploy/, but for where things are.
function configureNginx(port, nodes, { key, pem }) {
    const settings = read("nginx/necpnet.conf").replaceAll("127.0.0.1:8081", `127.0.0.1:${nodes[0].port}`).replaceAll("127.0.0.1:8082", `127.0.0.1:${nodes[1].port}`)
        .replace("listen 443 ssl", `listen 127.0.0.1:${port} ssl`).replace("server_name game.example", "server_name localhost")
        .replace("/etc/ssl/certs/game.example.pem", pem).replace("/etc/ssl/private/game.example.key", key);
    for (const name of ["temp", "logs"]) mkdirSync(path.join(folder, name), { recursive: true });
    const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${folder}/temp/${name};`).join("\n");
    const file = path.join(folder, "nginx.conf");
    writeFileSync(file, `daemon off; user root; worker_processes 1; pid ${folder}/nginx.pid; error_log ${folder}/logs/error.log;
events { worker_connections 512; }
http { access_log off; ${paths}\n${settings} }\n`.replace("user root; ", process.getuid() === 0 ? "user root; " : ""));
    const checked = tool("/usr/sbin/nginx", "nginx-light", ["-t", "-q", "-e", path.join(folder, "logs/error.log"), "-c", file]);
    assert.equal(checked.status, 0, checked.stderr);
    return file;
}

async function startNginx(file, port) {
    const child = spawn("/usr/sbin/nginx", ["-e", path.join(folder, "logs/error.log"), "-c", file], { stdio: "ignore" });
    children.push(child);
    const ended = new Promise((resolve) => child.on("exit", resolve));
    await until("nginx", () => new Promise((resolve) => {
        const socket = net.connect(port, "127.0.0.1", () => { socket.destroy(); resolve(true); });
        socket.on("error", () => resolve(false));
    }));
    return { child, stop: async () => { child.kill("SIGTERM"); await ended; } };
}

// A client of the command line; events as they come.
function join(url, pem) {
    const child = spawn(CLI, ["connect", url, "--key", "1:" + "ab".repeat(32), "--ca", pem, "--json", "--seconds", "60"], { stdio: ["pipe", "pipe", "pipe"] });
    const client = { child, events: [], output: "" };
    children.push(child);
    let rest = "";
    child.stderr.on("data", (data) => (client.output += data));
    child.stdout.on("data", (data) => {
        client.output += data;
        const lines = (rest + data).split("\n");
        rest = lines.pop();
        for (const line of lines) if (line.startsWith("{")) client.events.push(JSON.parse(line));
    });
    return client;
}

test("nginx carries sessions of two nodes, and each resumes on its own after nginx was restarted", async () => {
    const certificate = makeCertificate();
    const nodes = [];
    let proxy = null;
    try {
        for (const name of ["node-1", "node-2"]) {
            nodes.push(await start(["--mode", "production", "--bind-address", "127.0.0.1", "--udp-port", "-1", "--server-name", name,
                "--token-keys", "1:" + "ab".repeat(32), "--trusted-proxies", "127.0.0.1"], { JWT_SECRET: "x".repeat(32) }));
        }
        const port = await freePort();
        const file = configureNginx(port, nodes, certificate);
        proxy = await startNginx(file, port);
        const clients = [1, 2, 2].map((node) => join(`wss://localhost:${port}/nodes/node-${node}/ws`, certificate.pem));
        const seen = (client, what) => client.events.filter((event) => event.event === what);
        await until("three connected clients", () => clients.every((client) => seen(client, "connected").length === 1), 15000)
            .catch((error) => assert.fail(error.message + clients.map((client) => client.output).join("\n")));
        const players = async (node) => Number(/^necpnet_peers_connected{transport="websocket"} (\d+)$/m.exec(await (await fetch(node.base + "/metrics")).text())[1]);
        await until("one player on the first node, two on the second", async () => await players(nodes[0]) === 1 && await players(nodes[1]) === 2);
        const strange = join(`wss://localhost:${port}/nodes/node-3/ws`, certificate.pem);
        await until("a refusal of the unknown node", () => /404/.test(strange.output), 15000);
        strange.child.kill("SIGKILL");
        await proxy.stop();
        await until("lost connections", () => clients.every((client) => seen(client, "suspended").length === 1), 15000);
        proxy = await startNginx(file, port);
        await until("three resumed sessions", () => clients.every((client) => client.events.some((event) => event.event === "connected" && event.resumed)), 30000)
            .catch((error) => assert.fail(error.message + clients.map((client) => client.output).join("\n")));
        await until("one player on the first node, two on the second", async () => await players(nodes[0]) === 1 && await players(nodes[1]) === 2);
        for (const client of clients) assert.equal(seen(client, "disconnected").length, 0);
        // nginx is believed when it says who asks; whoever asks is not
        const refused = tool("curl", "curl", ["-s", "-o", "/dev/null", "-w", "%{http_code}", "--interface", "127.0.9.1", "--cacert", certificate.pem,
            "-H", "X-Forwarded-For: 1.2.3.4", "-H", "Authorization: Bearer no.token.atall", `https://localhost:${port}/ws/connections`]);
        assert.equal(refused.stdout, "401");
        const admin = jwt.make({ alg: "HS256" }, { sub: "root", role: "admin", exp: jwt.now() + 60 }, jwt.hs256("x".repeat(32)));
        const audits = () => Promise.all(nodes.map(async (node) => (await (await fetch(node.base + "/api/v1/admin/audit", { headers: { Authorization: `Bearer ${admin}` } })).json()).events));
        const [entry] = await until("the audit", async () => {
            const found = (await audits()).flat().filter((one) => one.event === "credential_refused");
            return found.length > 0 && found;
        });
        assert.equal(entry.from, "127.0.9.0");
        // REST goes to both, and never to /metrics
        assert.equal(rest(port, certificate.pem, "/health").status, 200);
        assert.equal(rest(port, certificate.pem, "/metrics").status, 404);
        await nodes[0].stop();
        for (let i = 0; i < 4; i++) assert.equal(rest(port, certificate.pem, "/health").status, 200, "a dead node is passed over");
    } finally {
        if (proxy) await proxy.stop();
        for (const node of nodes) if (existsSync(node.ready)) await node.stop();
    }
});

function rest(port, pem, route) {
    const done = tool("curl", "curl", ["-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", pem, `https://localhost:${port}${route}`]);
    return { status: Number(done.stdout) };
}
