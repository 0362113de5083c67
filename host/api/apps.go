package api

import (
	"encoding/hex"
	"net/http"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

type appsBody struct {
	Version string    `json:"version,omitempty"` // the host's
	Apps    []appBody `json:"apps"`              // in the configuration's order
	Pool    poolBody  `json:"pool"`
}

type appBody struct {
	Name         string                    `json:"name"`
	Version      string                    `json:"version"`
	Description  string                    `json:"description"`
	Author       string                    `json:"author,omitempty"`
	Homepage     string                    `json:"homepage,omitempty"`
	Module       *moduleBody               `json:"module,omitempty"`
	Webhook      map[string]string         `json:"webhook,omitempty"` // of a webhook: its URLs by kind of event, without their queries
	Capabilities capabilitiesBody          `json:"capabilities"`
	State        event.State               `json:"state"`              // "fresh" or "session"
	Sessions     *sessionsBody             `json:"sessions,omitempty"` // with state "session"
	Limits       map[string]limitsBody     `json:"limits"`             // by the kinds of event that the app handles
	Outcomes     map[plugins.Outcome]int64 `json:"outcomes"`           // invocations, every outcome listed
	Dropped      map[string]int64          `json:"dropped"`            // by reason
	Fuel         percentilesBody           `json:"fuel"`               // units
	WallMicros   percentilesBody           `json:"wall_us"`
	Breaker      string                    `json:"breaker"` // "closed", "open" or "half_open"
	Running      int                       `json:"running"`
	Waiting      int                       `json:"waiting"`
}

type moduleBody struct {
	SHA256 string `json:"sha256"` // lower-case hex
	Bytes  int64  `json:"bytes"`
}

type capabilitiesBody struct {
	Wanted  []wantedBody       `json:"wanted"`
	Granted []event.Capability `json:"granted"` // of those wanted: what the host acts on
}

type wantedBody struct {
	Name     event.Capability `json:"name"`
	Reason   string           `json:"reason"`
	Optional bool             `json:"optional"`
	Granted  bool             `json:"granted"`
}

// sessionsBody says what an app's state takes.
type sessionsBody struct {
	Open   int   `json:"open"`   // sessions for which its memory is kept
	Parked int   `json:"parked"` // of these, put away because they are quiet
	Bytes  int64 `json:"bytes"`  // that they take, shared pages not counted
}

type limitsBody struct {
	Fuel        uint64  `json:"fuel"`                   // units
	WallMillis  float64 `json:"wall_ms"`                // ms
	MemoryBytes int64   `json:"memory_bytes,omitempty"` // bytes
}

type percentilesBody struct {
	P50 uint64 `json:"p50"`
	P90 uint64 `json:"p90"`
	P99 uint64 `json:"p99"`
	Max uint64 `json:"max"`
}

type poolBody struct {
	Workers     int `json:"workers"`
	Running     int `json:"running"`
	PeakRunning int `json:"peak_running"` // since the start
	Waiting     int `json:"waiting"`
}

// outcomes lists every outcome, so that one that has not happened reads 0.
var outcomes = []plugins.Outcome{
	plugins.OK, plugins.AppError, plugins.Trap, plugins.FuelExhausted, plugins.DeadlineExceeded,
	plugins.MemoryExceeded, apps.Dropped, apps.Rejected,
}

// apps answers GET /v1/apps.
func (h *handler) apps(w http.ResponseWriter, r *http.Request) {
	if _, err := query(r); err != nil {
		fail(w, r, http.StatusBadRequest, "bad_query", err.Error())
		return
	}
	stats := map[string]dispatch.AppStats{}
	for _, s := range h.o.Dispatch.Stats() {
		stats[s.App] = s
	}
	pool := h.o.Dispatch.Pool()
	body := appsBody{
		Version: h.o.Version,
		Apps:    []appBody{},
		Pool:    poolBody{Workers: pool.Workers, Running: pool.Running, PeakRunning: pool.PeakRunning, Waiting: pool.Waiting},
	}
	for _, a := range h.o.Apps.All() {
		body.Apps = append(body.Apps, describe(a, stats[a.Name]))
	}
	respond(w, http.StatusOK, body)
}

// describe puts together what is known of an app.
func describe(a *apps.App, s dispatch.AppStats) appBody {
	b := appBody{
		Name: a.Name, Version: a.Manifest.Version, Description: a.Manifest.Description,
		Author: a.Manifest.Author, Homepage: a.Manifest.Homepage,
		Capabilities: capabilitiesBody{Wanted: []wantedBody{}, Granted: append([]event.Capability{}, a.Capabilities()...)},
		State:        a.State(),
		Limits:       map[string]limitsBody{},
		Outcomes:     map[plugins.Outcome]int64{},
		Dropped:      map[string]int64{},
		Fuel:         percentilesBody(s.Fuel),
		WallMicros:   percentilesBody(s.WallMicros),
		Breaker:      s.Breaker,
		Running:      s.Running,
		Waiting:      s.Waiting,
	}
	for _, c := range a.Manifest.Wants() {
		b.Capabilities.Wanted = append(b.Capabilities.Wanted, wantedBody{
			Name: c.Name, Reason: c.Reason, Optional: c.Optional, Granted: a.Holds(c.Name),
		})
	}
	if w := a.Webhook(); w != nil {
		b.Webhook = map[string]string{}
		for k, h := range w.Kinds() {
			b.Webhook[k.String()] = h.Place()
		}
	}
	var memory int64
	if a.Module != nil {
		sum := a.Module.SHA256()
		b.Module = &moduleBody{SHA256: hex.EncodeToString(sum[:]), Bytes: a.Module.Size()}
		memory = a.Module.MemoryLimit()
		if a.State() == event.StateSession {
			u := a.Module.Usage()
			b.Sessions = &sessionsBody{Open: u.Sessions, Parked: u.Parked, Bytes: u.SessionBytes}
		}
	}
	for _, k := range a.Manifest.Events.Kinds() {
		if !a.Holds(event.Capability(k.String())) {
			continue
		}
		l := a.Limits(k)
		b.Limits[k.String()] = limitsBody{Fuel: l.Fuel, WallMillis: float64(l.Wall.Microseconds()) / 1000, MemoryBytes: memory}
	}
	for _, o := range outcomes {
		b.Outcomes[o] = 0
	}
	for o, n := range s.Outcomes {
		b.Outcomes[o] = n
	}
	for reason, n := range s.Dropped {
		b.Dropped[reason] = n
	}
	return b
}
