/* main - necpnet-server: configuration, signals, what is said at the start, and how it ends. */
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "routes.h"
#include "worker.h"

enum { EXIT_IN_ORDER = 0, EXIT_ENVIRONMENT = 1, EXIT_CONFIGURATION = 2, EXIT_FORCED = 3 };

static atomic_int main_signals;

static void main_on_signal(int number)
{
    (void)number;
    atomic_fetch_add(&main_signals, 1); /* lock-free: C11 7.14.1.1 allows it */
}

static void main_catch_signals(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = main_on_signal;
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
}

static const char* main_environment(const char* name)
{
    return getenv(name);
}

/* What the system says about one of our ports, tried with a socket of its own: an errno, 0 if it could be had. */
static int main_try_port(const config* settings, int type, int64_t port)
{
    necpnet_address address;
    struct sockaddr_storage storage = {0};
    socklen_t bytes = sizeof(struct sockaddr_in);
    if (port < 0 || necpnet_address_parse(settings->bind_address, &address) != NECPNET_OK) return 0;
    if (address.family == NECPNET_ADDRESS_IPV4) {
        struct sockaddr_in* to = (struct sockaddr_in*)&storage;
        to->sin_family = AF_INET;
        to->sin_port = htons((uint16_t)port);
        memcpy(&to->sin_addr, address.bytes, 4);
    } else {
        struct sockaddr_in6* to = (struct sockaddr_in6*)&storage;
        to->sin6_family = AF_INET6;
        to->sin6_port = htons((uint16_t)port);
        memcpy(&to->sin6_addr, address.bytes, 16);
        bytes = sizeof(*to);
    }
    int descriptor = socket(storage.ss_family, type, 0);
    int yes = 1;
    if (descriptor < 0) return errno;
    if (type == SOCK_STREAM) (void)setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    int error = bind(descriptor, (struct sockaddr*)&storage, bytes) == 0 ? 0 : errno;
    close(descriptor);
    return error;
}

/* Explains a port that cannot be opened. Returns whether this was it. */
static bool main_explain_port(const config* settings, const char* name, int type, int64_t port)
{
    switch (main_try_port(settings, type, port)) {
    case EADDRINUSE:
        fprintf(stderr,
                "necpnet-server: %s port %d on %s is in use by another program.\n"
                "  fix: stop that program (ss -lntup shows it), or choose other ports: --port N --udp-port N; 0 is any "
                "free one\n",
                name, (int)port, settings->bind_address);
        return true;
    case EACCES:
        fprintf(stderr,
                "necpnet-server: the operating system does not let this user open %s port %d on %s.\n"
                "  fix: choose ports above 1023, or give the program CAP_NET_BIND_SERVICE\n",
                name, (int)port, settings->bind_address);
        return true;
    case EADDRNOTAVAIL:
        fprintf(stderr,
                "necpnet-server: %s port %d cannot be opened: is %s an address of this machine?\n"
                "  fix: --bind-address with an address that `ip address` shows, or :: for all\n",
                name, (int)port, settings->bind_address);
        return true;
    default: return false;
    }
}

/* Says why the server did not start, and the way out. */
static void main_explain(const config* settings, necpnet_result result, const char* what)
{
    if (strcmp(what, "the ports") == 0) {
        bool tcp = main_explain_port(settings, "TCP", SOCK_STREAM, settings->port);
        bool udp = main_explain_port(settings, "UDP", SOCK_DGRAM, settings->udp_port);
        if (tcp || udp) return;
    }
    bool is_tls = settings->certificate_file[0] && result == NECPNET_ERR_FILE;
    if (is_tls || result == NECPNET_ERR_BAD_CERTIFICATE_FILE) {
        fprintf(stderr,
                "necpnet-server: the certificate %s or the key %s cannot be used: %s.\n"
                "  fix: both are PEM, the key belongs to the certificate, has no password, and this user may read it\n",
                settings->certificate_file, settings->key_file, necpnet_result_text(result));
    } else {
        fprintf(stderr, "necpnet-server: %s could not be opened: %s (%s).\n", what, necpnet_result_text(result),
                necpnet_result_name(result));
    }
}

/* Where people reach it: the bound address, or localhost for "all". */
static void main_set_host(const config* settings, int port, char* host, size_t host_bytes)
{
    const char* bound = settings->bind_address;
    if (strcmp(bound, "::") == 0 || strcmp(bound, "0.0.0.0") == 0) bound = "localhost";
    snprintf(host, host_bytes, strchr(bound, ':') ? "[%s]:%d" : "%s:%d", bound, port);
}

/* For scripts and tests: written beside it first, so that a reader sees all of it or nothing. */
static bool main_write_ready(const config* settings, const tokens* office, const char* host)
{
    char name[4200];
    if (settings->ready_file[0] == 0) return true;
    snprintf(name, sizeof(name), "%s.%d", settings->ready_file, (int)getpid());
    FILE* file = fopen(name, "w");
    if (file) {
        fprintf(file, "{\"pid\":%d,\"tcp_port\":%d,\"udp_port\":%d,\"url\":\"%s://%s/\"}\n", (int)getpid(),
                office->tcp_port, office->udp_port, office->tls ? "https" : "http", host);
        if (fclose(file) == 0 && rename(name, settings->ready_file) == 0) return true;
    }
    fprintf(stderr, "necpnet-server: ready_file %s cannot be written: %s\n", settings->ready_file, strerror(errno));
    return false;
}

/* The first words of development mode, for a person. */
static void main_greet(const config* settings, tokens* office, const char* host)
{
    tokens_grant grant;
    tokens_wish wish = {.host = host, .transport = TOKENS_ANY, .client_id = 1, .name = ""};
    const char* scheme = office->tls ? "https" : "http";
    printf("necpnet-server " NECPNET_VERSION_TEXT "\n\n");
    printf("  DEVELOPMENT MODE: loopback only, anyone on this machine may join, the token key is of this process "
           "alone.\n\n");
    printf("  page     %s://%s/   dashboard   %s://%s/dashboard\n", scheme, host, scheme, host);
    printf("  clients  %s://%s%s%s", office->tls ? "wss" : "ws", host, settings->ws_path,
           office->udp_port > 0 ? "" : "\n");
    if (office->udp_port > 0) printf(" and udp://%.*s:%d\n", (int)(strrchr(host, ':') - host), host, office->udp_port);
    printf("  health   %s://%s/health   metrics   %s://%s/metrics\n\n", scheme, host, scheme, host);
    if (settings->security == NECPNET_SECURITY_TOKEN && tokens_make(office, &wish, &grant) == NECPNET_OK) {
        printf("  A test token (connects once, within %d s):\n\n%s\n\n", (int)settings->token_lifetime_s, grant.token);
        printf("  Try:  necpnet watch --token TOKEN\n");
        if (office->tcp_port == 8080 && !office->tls) {
            printf("        necpnet play\n\n");
        } else {
            printf("        necpnet play --token-url %s://%s/api/v1/connect-tokens\n\n", scheme, host);
        }
    }
    printf("  For production, give it a configuration: necpnet-server --help. Ctrl-C ends it.\n\n");
    fflush(stdout);
}

/* All workers of the process; the first runs on the main thread. */
typedef struct main_crew {
    services known;
    rest* back;
    necpnet_workers* shared; /* NULL: one worker */
    worker* workers[CONFIG_WORKERS_MAX];
    pthread_t threads[CONFIG_WORKERS_MAX];
    int count;   /* made */
    int running; /* threads, and the first */
} main_crew;

static necpnet_result main_make_workers(main_crew* crew, const char** out_what)
{
    const config* settings = crew->known.settings;
    necpnet_result result = NECPNET_OK;
    if (settings->workers > 1) {
        necpnet_workers_config shared;
        *out_what = "the workers";
        result = necpnet_workers_config_default(&shared);
        shared.count_max = (uint32_t)settings->workers;
        if (result == NECPNET_OK) result = necpnet_workers_create(&shared, &crew->shared);
    }
    if (result == NECPNET_OK) {
        *out_what = "the REST server";
        result = rest_start(&crew->known, &crew->back);
    }
    const game_interface* game = settings->game == CONFIG_GAME_NONE ? &no_game : &arena_game;
    while (result == NECPNET_OK && crew->count < (int)settings->workers) {
        result = worker_create(game, &crew->known, crew->back, crew->count, crew->shared, &crew->workers[crew->count],
                               out_what);
        if (result != NECPNET_OK) break;
        crew->known.workers[crew->count] = crew->workers[crew->count];
        crew->count++;
        atomic_store(&crew->known.worker_count, crew->count);
    }
    return result;
}

static void* main_run_worker(void* at)
{
    return worker_run(at, &main_signals) ? at : NULL;
}

/* Until all have drained. False: a second signal ended them, or a thread could not be had. */
static bool main_run_workers(main_crew* crew)
{
    bool in_order = true;
    for (crew->running = 1; crew->running < crew->count; crew->running++) {
        worker* at = crew->workers[crew->running];
        if (pthread_create(&crew->threads[crew->running], NULL, main_run_worker, at) != 0) {
            LOG(NECPNET_LOG_ERROR, "no_thread", "the system gives no more threads", LOG_END);
            atomic_store(&main_signals, 2);
            in_order = false;
            break;
        }
    }
    if (!worker_run(crew->workers[0], &main_signals)) in_order = false;
    for (int i = 1; i < crew->running; i++) {
        void* ended = NULL;
        if (pthread_join(crew->threads[i], &ended) != 0 || !ended) in_order = false;
    }
    return in_order;
}

/* Those that post to loops end first, then the loops' last posts are taken, then the loops end. */
static void main_end(main_crew* crew)
{
    rest_stop(crew->back);
    services_stop(&crew->known);
    for (int i = 0; i < crew->count; i++) worker_settle(crew->workers[i]);
    while (crew->count > 0) worker_destroy(crew->workers[--crew->count]);
    services_end(&crew->known);
    necpnet_workers_destroy(crew->shared);
}

static int main_run(const config* settings, const pages* files)
{
    static board figures;
    static main_crew crew;
    tokens office;
    char host[96];
    char opened[512] = "";
    const char* what = "entropy";
    necpnet_result result = tokens_begin(&office, settings);
    board_begin(&figures, (int)settings->workers);
    if (result == NECPNET_OK) {
        what = opened;
        result = services_begin(&crew.known, settings, &office, files, &figures, opened, sizeof(opened));
    }
    crew.known.signals = &main_signals;
    if (result == NECPNET_OK) result = main_make_workers(&crew, &what);
    if (result != NECPNET_OK) {
        main_end(&crew);
        main_explain(settings, result, what);
        board_end(&figures);
        return EXIT_ENVIRONMENT;
    }
    main_set_host(settings, office.tcp_port, host, sizeof(host));
    int code = main_write_ready(settings, &office, host) ? EXIT_IN_ORDER : EXIT_ENVIRONMENT;
    if (code == EXIT_IN_ORDER) {
        if (settings->mode == CONFIG_DEVELOPMENT) main_greet(settings, &office, host);
        LOG(NECPNET_LOG_INFO, "listening", "the server is up", LOG_TEXT("version", NECPNET_VERSION_TEXT),
            LOG_TEXT("bind_address", settings->bind_address), LOG_NUMBER("tcp_port", office.tcp_port),
            LOG_NUMBER("udp_port", office.udp_port), LOG_NUMBER("workers", crew.count),
            LOG_TEXT("tls", office.tls ? "yes" : "no"),
            LOG_TEXT("mode", settings->mode == CONFIG_DEVELOPMENT ? "development" : "production"),
            LOG_TEXT("page", files->count > 0 ? files->directories[0] : ""), LOG_END);
        code = main_run_workers(&crew) ? EXIT_IN_ORDER : EXIT_FORCED;
        if (settings->ready_file[0]) (void)unlink(settings->ready_file);
    }
    main_end(&crew);
    board_end(&figures);
    memset(office.keys, 0, sizeof(office.keys));
    LOG(NECPNET_LOG_INFO, "ended", "good bye", LOG_NUMBER("exit_code", code), LOG_END);
    return code;
}

/* What the configuration asks for. */
static int main_obey(const config* settings, config_result wish, text* said)
{
    pages files;
    int code = EXIT_IN_ORDER;
    switch (wish) {
    case CONFIG_SHOW_HELP:
        config_help(said);
        fputs(said->to, stdout);
        break;
    case CONFIG_SHOW_VERSION: printf("necpnet-server %s\n", necpnet_version()); break;
    case CONFIG_SHOW_CHECK: printf("%sthe configuration is right\n", said->to); break;
    case CONFIG_WRONG:
    case CONFIG_UNREADABLE:
        fprintf(stderr, "necpnet-server: the configuration is not right:\n%s", said->to);
        fprintf(stderr, "  --help lists every key, --check-config checks without starting\n");
        code = wish == CONFIG_WRONG ? EXIT_CONFIGURATION : EXIT_ENVIRONMENT;
        break;
    case CONFIG_RUN:
        log_begin(
            (necpnet_log_level)settings->log_level,
            settings->log_format == CONFIG_LOG_JSON || (settings->log_format == CONFIG_LOG_AUTOMATIC && !isatty(2)), 2);
        main_catch_signals();
        pages_begin(&files, settings->web_directory);
        code = main_run(settings, &files);
        pages_end(&files);
        break;
    }
    return code;
}

/* `necpnet-server migrate up|status`: the store's schema. */
static int main_migrate(const config* settings, bool up)
{
    char what[256];
    text said;
    store* records = NULL;
    log_begin(NECPNET_LOG_WARNING, false, 2);
    necpnet_result result = store_open(settings->store, up, &records, what, sizeof(what));
    if (result != NECPNET_OK) {
        fprintf(stderr, "necpnet-server: the store could not be opened: %s\n", what);
        return EXIT_ENVIRONMENT;
    }
    text_begin_growing(&said);
    bool right = store_migrations(records, &said) && !said.failed;
    if (right) printf("%s: %s%s", store_name(records), strchr(said.to, '\n') ? "\n" : "", said.to);
    text_end(&said);
    store_close(records);
    return right ? EXIT_IN_ORDER : EXIT_ENVIRONMENT;
}

/* `necpnet-server backup|restore FILE`: the store's copies. */
static int main_copy(const config* settings, bool restores, const char* file)
{
    char what[4400];
    store_copied copied;
    log_begin(NECPNET_LOG_WARNING, false, 2);
    necpnet_result result = restores ? store_restore(settings->store, file, &copied, what, sizeof(what))
                                     : store_back_up(settings->store, file, &copied, what, sizeof(what));
    if (result != NECPNET_OK) {
        fprintf(stderr, "necpnet-server: %s: %s\n", restores ? "nothing was restored" : "no back-up was made", what);
        return EXIT_ENVIRONMENT;
    }
    printf("%s %s: %llu records, schema %d, digest %016llx\n", restores ? "restored from" : "backed up to", file,
           (unsigned long long)copied.records, copied.schema_version, (unsigned long long)copied.digest);
    return EXIT_IN_ORDER;
}

static int main_print_routes(void)
{
    text said;
    text_begin_growing(&said);
    routes_describe(&said);
    fputs(said.failed ? "" : said.to, stdout);
    text_end(&said);
    return EXIT_IN_ORDER;
}

typedef enum main_verb { VERB_NONE, VERB_STATUS, VERB_UP, VERB_BACK_UP, VERB_RESTORE } main_verb;

/* A verb stands before all flags, with a word of its own behind it. */
static main_verb main_read_verb(int argument_count, char** arguments)
{
    if (argument_count < 3) return VERB_NONE;
    if (strcmp(arguments[1], "migrate") == 0 && strcmp(arguments[2], "up") == 0) return VERB_UP;
    if (strcmp(arguments[1], "migrate") == 0 && strcmp(arguments[2], "status") == 0) return VERB_STATUS;
    if (strcmp(arguments[1], "backup") == 0 && arguments[2][0] != '-') return VERB_BACK_UP;
    if (strcmp(arguments[1], "restore") == 0 && arguments[2][0] != '-') return VERB_RESTORE;
    return VERB_NONE;
}

static int main_obey_verb(main_verb verb, const config* settings, const char* word)
{
    if (verb == VERB_UP || verb == VERB_STATUS) return main_migrate(settings, verb == VERB_UP);
    return main_copy(settings, verb == VERB_RESTORE, word);
}

int main(int argument_count, char** arguments)
{
    config settings;
    text said;
    if (argument_count == 2 && strcmp(arguments[1], "routes") == 0) return main_print_routes();
    main_verb verb = main_read_verb(argument_count, arguments);
    const char* word = verb ? arguments[2] : NULL;
    if (verb) {
        arguments += 2;
        argument_count -= 2;
    }
    text_begin_growing(&said);
    config_result wish = config_load(&settings, argument_count, arguments, main_environment, &said);
    int code = said.failed                  ? EXIT_ENVIRONMENT
               : verb && wish == CONFIG_RUN ? main_obey_verb(verb, &settings, word)
                                            : main_obey(&settings, wish, &said);
    text_end(&said);
    config_release(&settings);
    return code;
}
