package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/host/replays"
	"github.com/auricle-dev/auricle/host/store"
)

// Store is where conversations are read; *store.Store is one. Its errors are
// told apart by the store package's Err variables.
type Store interface {
	Conversation(ctx context.Context, id string) (store.Record, error)
	Conversations(ctx context.Context, uid string, limit int, cursor string) (store.Page, error)
}

// Dispatch tells how the apps are doing; *dispatch.Dispatcher is one.
type Dispatch interface {
	Stats() []dispatch.AppStats
	Pool() dispatch.PoolStats
}

// Apps lists what is installed; *apps.Set is one.
type Apps interface {
	All() []*apps.App
}

// Guards: the host's parts are what this package asks for.
var (
	_ Store    = (*store.Store)(nil)
	_ Dispatch = (*dispatch.Dispatcher)(nil)
	_ Apps     = (*apps.Set)(nil)
	_ Replays  = (*replays.Directory)(nil)
)

// Replays is where recordings of invocations are kept; *replays.Directory is
// one.
type Replays interface {
	List(ctx context.Context, app string, limit int) ([]replays.Entry, error)
	Read(invocation string) ([]byte, error)
}

// Options are what the handler shows. All but Replays, Reload, Ready, Version
// and Logger are needed.
type Options struct {
	Store    Store
	Dispatch Dispatch
	Apps     Apps
	Gatherer prometheus.Gatherer
	Replays  Replays                                     // nil: there are no such paths
	Reload   func(context.Context) (ReloadReport, error) // reads the configuration again and applies it; a config.Problems says why not. nil: there is no such path
	Ready    func() error                                // why the host does not serve, or nil; errors.Join makes several reasons. nil: always ready
	Version  string                                      // shown by /healthz and /v1/apps
	Logger   hclog.Logger                                // nil: silent
}

// handler answers everything but the stream.
type handler struct {
	o       Options
	metrics http.Handler
	routes  map[string]http.HandlerFunc // exact paths
	items   map[string]itemHandler      // by the path that the id of one of its things follows
}

// itemHandler answers for one thing.
type itemHandler func(w http.ResponseWriter, r *http.Request, id string)

const conversationsPath = "/v1/conversations"

// New returns the handler for every path that this package serves. It answers
// 404 for every other, and 405 for every method that a path does not take.
func New(o Options) http.Handler {
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	h := &handler{o: o}
	h.metrics = promhttp.HandlerFor(o.Gatherer, promhttp.HandlerOpts{
		ErrorLog:      o.Logger.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Error}),
		ErrorHandling: promhttp.HTTPErrorOnError,
	})
	h.routes = map[string]http.HandlerFunc{
		"/healthz":        h.health,
		"/readyz":         h.ready,
		"/metrics":        h.metrics.ServeHTTP,
		conversationsPath: h.conversations,
		"/v1/apps":        h.apps,
	}
	h.items = map[string]itemHandler{conversationsPath: h.conversation}
	if o.Replays != nil {
		h.routes[replaysPath], h.items[replaysPath] = h.replays, h.replay
	}
	return withRequestID(h)
}

// ServeHTTP routes. net/http's own mux would answer 404 and 405 in plain text.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == reloadPath && h.o.Reload != nil {
		h.reload(w, r)
		return
	}
	serve, ok := h.routes[r.URL.Path]
	if !ok {
		at := strings.LastIndexByte(r.URL.Path, '/')
		path, id := r.URL.Path[:max(at, 0)], r.URL.Path[at+1:]
		item := h.items[path]
		if item == nil || id == "" {
			fail(w, r, http.StatusNotFound, "not_found", "there is nothing at this path; see /v1/apps and /v1/conversations?uid=")
			return
		}
		serve = func(w http.ResponseWriter, r *http.Request) { item(w, r, id) }
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		fail(w, r, http.StatusMethodNotAllowed, "method_not_allowed", "this path answers GET only")
		return
	}
	serve(w, r)
}
