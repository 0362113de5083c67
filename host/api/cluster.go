package api

import (
	"net/http"
	"time"

	"github.com/auricle-dev/auricle/host/cluster"
)

const clusterPath = "/v1/cluster"

// Members tells which hosts share the store; *cluster.Members is one.
type Members interface {
	Hosts() []cluster.Member
}

// Cluster is what GET /v1/cluster answers.
type Cluster struct {
	Shared bool          `json:"shared"` // whether other hosts may use the same store
	Hosts  []ClusterHost `json:"hosts"`  // that are alive, by id
	Jobs   ClusterJobs   `json:"jobs"`   // of all hosts
}

// ClusterHost is one host of a Cluster.
type ClusterHost struct {
	ID          string    `json:"id"`
	Self        bool      `json:"self"` // it is this one that answers
	Address     string    `json:"address"`
	Version     string    `json:"version,omitempty"`
	Started     time.Time `json:"started"`
	Leaving     bool      `json:"leaving"`      // it drains: it takes nothing new
	Sessions    int       `json:"sessions"`     // with or without a stream
	Running     int       `json:"running"`      // invocations
	Jobs        int       `json:"jobs"`         // attempts of jobs under way
	HeardMillis int64     `json:"heard_ms_ago"` // since it last said so; 0 of itself
}

// ClusterJobs counts the jobs of a Cluster.
type ClusterJobs struct {
	Waiting   int   `json:"waiting"`
	Running   int   `json:"running"`
	Dead      int   `json:"dead"`
	LagMillis int64 `json:"lag_ms"`  // how long the one that is overdue longest has been due
	Partial   bool  `json:"partial"` // there are more than this host has in memory
}

// cluster answers GET /v1/cluster.
func (h *handler) cluster(w http.ResponseWriter, r *http.Request) {
	if _, err := query(r); err != nil {
		fail(w, r, http.StatusBadRequest, "bad_query", err.Error())
		return
	}
	c := h.o.Jobs.Counts()
	body := Cluster{Shared: h.o.Shared, Hosts: []ClusterHost{}, Jobs: ClusterJobs{
		Waiting: c.Waiting, Running: c.Running, Dead: c.Dead, LagMillis: c.Lag.Milliseconds(), Partial: c.Partial,
	}}
	for _, m := range h.o.Members.Hosts() {
		body.Hosts = append(body.Hosts, ClusterHost{
			ID: m.ID, Self: m.Self, Address: m.Address, Version: m.Version, Started: m.Started, Leaving: m.Leaving,
			Sessions: m.Sessions, Running: m.Running, Jobs: m.Jobs, HeardMillis: m.Heard.Milliseconds(),
		})
	}
	respond(w, http.StatusOK, body)
}
