package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// DefaultReplicas is how many servers of a cluster keep each record. What is
// acknowledged is then on two of three.
const DefaultReplicas = 3

// connectTimeout bounds the attempt to reach one server of a cluster.
const connectTimeout = 5 * time.Second

// NATS says which servers keep the records instead of the embedded one.
type NATS struct {
	URLs        []string // of one or more servers of the cluster
	Credentials string   // path of a credentials file; empty: none
	CA          string   // path of the PEM certificates that the servers' are checked by; empty: the system's
	Replicas    int      // of each stream: 1, 3 or 5; 0: DefaultReplicas
}

// replicas returns Replicas with its default.
func (n *NATS) replicas() int {
	if n.Replicas == 0 {
		return DefaultReplicas
	}
	return n.Replicas
}

// names returns the URLs as they may be shown: without passwords.
func (n *NATS) names() string {
	names := make([]string, len(n.URLs))
	for i, s := range n.URLs {
		names[i] = s
		if u, err := url.Parse(s); err == nil {
			names[i] = u.Redacted()
		}
	}
	return strings.Join(names, ", ")
}

// options are what a connection to the servers is made with. It reads the
// files once, so that one which can't be read is named.
func (n *NATS) options() ([]nats.Option, error) {
	if len(n.URLs) == 0 {
		return nil, errors.New("no NATS server given: name one or more URLs")
	}
	opts := []nats.Option{nats.Timeout(connectTimeout), nats.ReconnectWait(250 * time.Millisecond)}
	if n.Credentials != "" {
		if _, err := os.ReadFile(n.Credentials); err != nil {
			return nil, fmt.Errorf("reading the NATS credentials: %w", err)
		}
		opts = append(opts, nats.UserCredentials(n.Credentials))
	}
	if n.CA != "" {
		if _, err := os.ReadFile(n.CA); err != nil {
			return nil, fmt.Errorf("reading the NATS servers' CA certificates: %w", err)
		}
		opts = append(opts, nats.RootCAs(n.CA))
	}
	return opts, nil
}

// unreachable says that no server answered.
func (n *NATS) unreachable(err error) error {
	return fmt.Errorf("no NATS server can be used at %s: %w", n.names(), err)
}

// refused says what a server's refusal to make a stream means to an operator.
func (n *NATS) refused(err error) error {
	var api *jetstream.APIError
	switch {
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount), errors.Is(err, nats.ErrNoResponders):
		return fmt.Errorf("JetStream is not enabled on the NATS servers at %s, or not for this account: %w; enable it there", n.names(), err)
	case errors.As(err, &api) && (api.ErrorCode == codeReplicasNotSupported || api.ErrorCode == codeNoSuitablePeers):
		return fmt.Errorf("the NATS servers at %s can't keep %d replicas: %w; start more servers in the cluster, or set fewer replicas", n.names(), n.replicas(), err)
	}
	return err
}

// passing reports whether a refusal may be gone in a moment: the cluster is
// choosing a leader, or another host makes the same stream.
func passing(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.ErrorCode == codeNotAvailable || api.ErrorCode == codeNameInUse
	}
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout)
}

// leaderless reports whether nobody answered for a stream, or said that nobody
// can yet: its cluster has lost a server and puts others in its place.
func leaderless(err error) bool {
	var api *jetstream.APIError
	return errors.Is(err, nats.ErrNoResponders) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &api) && api.ErrorCode == codeNotAvailable
}
