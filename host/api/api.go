package api

import (
	"context"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/auth"
	"github.com/auricle-dev/auricle/host/cluster"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/host/jobs"
	"github.com/auricle-dev/auricle/host/replays"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/host/tools"
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

// Jobs is the work of apps on completed conversations that could not be done at
// once; *jobs.Jobs is one.
type Jobs interface {
	List(f jobs.Filter, limit int, cursor string) (jobs.Page, error)
	Show(ctx context.Context, app, conversation string) (store.Job, error)
	Retry(ctx context.Context, f jobs.Filter) (int, error)
	Drop(ctx context.Context, f jobs.Filter) (int, error)
	Counts() jobs.Counts
}

// Guards: the host's parts are what this package asks for.
var (
	_ Store    = (*store.Store)(nil)
	_ Dispatch = (*dispatch.Dispatcher)(nil)
	_ Apps     = (*apps.Set)(nil)
	_ Jobs     = (*jobs.Jobs)(nil)
	_ Members  = (*cluster.Members)(nil)
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
	Jobs     Jobs
	Users    Users
	Values   Values // of apps
	Memories Memories
	Tools    *tools.Tools // what calls apps' tools; nil: there are no such paths
	MCP      MCP          // needed with Tools
	Members  Members
	Shared   bool // whether other hosts may use the same store
	Gatherer prometheus.Gatherer
	Auth     *auth.Authenticator                         // who issues single-use tokens; nil: there is no such path
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
	routes  map[string]http.HandlerFunc // exact paths that are read
	items   map[string]itemHandler      // by the path that the id of one of its things follows
	changes map[string]http.HandlerFunc // exact paths that change something
	browser *http.CrossOriginProtection
}

// itemHandler answers for one thing.
type itemHandler func(w http.ResponseWriter, r *http.Request, id string)

const (
	conversationsPath = "/v1/conversations"
	jobsPath          = "/v1/jobs"
)

// New returns the handler for every path that this package serves. It answers
// 404 for every other, and 405 for a method that a path does not answer.
func New(o Options) http.Handler {
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	h := &handler{o: o, browser: http.NewCrossOriginProtection()}
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
		jobsPath:          h.jobs,
		clusterPath:       h.cluster,
	}
	h.changes = map[string]http.HandlerFunc{
		jobsPath + "/retry": h.changeJobs("retried", Jobs.Retry),
		jobsPath + "/drop":  h.changeJobs("dropped", Jobs.Drop),
	}
	if o.Auth != nil {
		h.changes[tokensPath] = h.issueToken
	}
	if o.Reload != nil {
		h.changes[reloadPath] = h.reload
	}
	h.items = map[string]itemHandler{conversationsPath: h.conversation}
	if o.Replays != nil {
		h.routes[replaysPath], h.items[replaysPath] = h.replays, h.replay
	}
	for path := range h.paths() {
		if _, ok := routeOf(path); !ok {
			panic("api: " + path + " is not in the table of routes") // a mistake in the program
		}
	}
	return withRequestID(h)
}

// paths yields a path of everything that h answers.
func (h *handler) paths() iter.Seq[string] {
	return func(yield func(string) bool) {
		all := append(slices.Collect(maps.Keys(h.routes)), slices.Collect(maps.Keys(h.changes))...)
		for path := range h.items {
			all = append(all, path+"/id")
		}
		for _, path := range append(all, jobsPath+"/app/conversation") {
			if !yield(path) {
				return
			}
		}
	}
}

// ServeHTTP routes. net/http's own mux would answer 404 and 405 in plain text.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if change, ok := h.changes[r.URL.Path]; ok {
		h.change(w, r, change)
		return
	}
	if uid, app, ok := storagePath(r.URL.EscapedPath()); ok {
		h.storage(w, r, uid, app)
		return
	}
	if uid, ok := memoriesPath(r.URL.EscapedPath()); ok {
		h.memories(w, r, uid)
		return
	}
	if h.o.Tools != nil {
		if p, ok := parseToolPath(r.URL.EscapedPath()); ok {
			h.tools(w, r, p)
			return
		}
		if app, tool, ok := omiPath(r.URL.EscapedPath()); ok || r.URL.Path == omiManifestPath {
			h.omi(w, r, app, tool)
			return
		}
	}
	if uid, app, ok := userPath(r.URL.EscapedPath()); ok {
		h.user(w, r, uid, app)
		return
	}
	serve := h.find(r.URL.Path)
	if serve == nil {
		fail(w, r, http.StatusNotFound, "not_found", "there is nothing at this path; see /v1/apps, /v1/jobs and /v1/conversations?uid=")
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		fail(w, r, http.StatusMethodNotAllowed, "method_not_allowed", "this path answers GET only")
		return
	}
	serve(w, r)
}

// find returns who answers a path that is read, nil when there is nothing.
func (h *handler) find(path string) http.HandlerFunc {
	if serve, ok := h.routes[path]; ok {
		return serve
	}
	at := strings.LastIndexByte(path, '/')
	if item, id := h.items[path[:max(at, 0)]], path[at+1:]; item != nil && id != "" {
		return func(w http.ResponseWriter, r *http.Request) { item(w, r, id) }
	}
	if rest, ok := strings.CutPrefix(path, jobsPath+"/"); ok {
		app, conversation, ok := strings.Cut(rest, "/")
		if ok && app != "" && conversation != "" && !strings.Contains(conversation, "/") {
			return func(w http.ResponseWriter, r *http.Request) { h.job(w, r, app, conversation) }
		}
	}
	return nil
}

// change answers a request that changes something. It must be meant: a POST of
// JSON, and from a browser only by a page of this host's own.
func (h *handler) change(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		fail(w, r, http.StatusMethodNotAllowed, "method_not_allowed", "this path answers POST only")
		return
	}
	if err := h.browser.Check(r); err != nil {
		fail(w, r, http.StatusForbidden, "bad_origin", "web pages of other origins may not change anything here")
		return
	}
	serve(w, r)
}
