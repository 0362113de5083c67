package host

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/auricle-dev/auricle/host/auth"
	"github.com/auricle-dev/auricle/host/config"
)

// keyAuth stands for all keys and blocks of the auth block in a report.
const keyAuth = "auth"

// prepareAuth reads what a reload's auth block names. It returns nil where the
// block has not changed, or the configuration has faults already. A door that
// was open to those with credentials is never opened to all: that takes a
// restart.
func (h *Host) prepareAuth(inForce, next config.Config, faults error) (*auth.Rules, error) {
	if faults != nil || reflect.DeepEqual(unplaced(inForce.Auth), unplaced(next.Auth)) && !readsFiles(next.Auth) {
		return nil, nil
	}
	if inForce.Auth.On() && !next.Auth.On() {
		return nil, errors.New("reloading: the auth block is gone, which would let everyone in; stop the host and start it to mean that")
	}
	rules, err := h.auth.Prepare(next.Auth)
	if err != nil {
		return nil, fmt.Errorf("reloading: %w", err)
	}
	return rules, nil
}

// readsFiles reports whether files are read, which may have changed.
func readsFiles(a config.Auth) bool { return a.JWT.JWKSFile != "" || a.JWT.SecretFile != "" }

// unplaced returns a without where its tokens stand.
func unplaced(a config.Auth) config.Auth {
	static := make([]config.AuthToken, len(a.Static))
	for i, t := range a.Static {
		t.Pos = config.Pos{}
		static[i] = t
	}
	a.Static = static
	return a
}
