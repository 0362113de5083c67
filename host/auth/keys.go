package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/hashicorp/go-hclog"
)

const (
	fetchTimeout   = 5 * time.Second  // of one reading of a JWK set
	fetchEvery     = 10 * time.Minute // while all is well
	fetchAgain     = 30 * time.Second // after it failed
	fetchLeast     = 10 * time.Second // between two that unknown keys ask for
	waitForKeys    = 2 * time.Second  // how long a request waits for one
	maxKeys        = 256              // of a JWK set
	maxKeySetBytes = 256 << 10
)

// key is one key and the one algorithm that it is for.
type key struct {
	id        string // kid; "" fits every token
	key       any    // []byte, *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
	algorithm string
}

// keySet are the keys of an issuer. One that follows a URL owns a goroutine
// that reads it; close ends it and waits.
type keySet struct {
	ask    chan struct{} // holds at most one request to read now; nil: the keys are fixed
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex // guards what follows
	keys    []key
	loaded  bool          // keys were read once
	tried   time.Time     // when reading last began
	reading bool          // an answer is awaited
	news    chan struct{} // closed, and replaced, when a reading ends
}

func fixedKeys(keys []key) *keySet { return &keySet{keys: keys, loaded: true} }

// followKeys reads the set at url now and again.
func followKeys(url string, client *http.Client, log hclog.Logger) *keySet {
	ctx, cancel := context.WithCancel(context.Background())
	s := &keySet{ask: make(chan struct{}, 1), cancel: cancel, done: make(chan struct{}), news: make(chan struct{}), reading: true, tried: time.Now()}
	go s.follow(ctx, url, client, log) // ends with close, which waits for it
	return s
}

func (s *keySet) close() {
	if s.ask != nil {
		s.cancel()
		<-s.done
	}
}

func (s *keySet) follow(ctx context.Context, url string, client *http.Client, log hclog.Logger) {
	defer close(s.done)
	for {
		keys, err := fetchKeys(ctx, url, client)
		if ctx.Err() != nil {
			return
		}
		wait := fetchEvery
		s.mu.Lock()
		if err == nil {
			s.keys, s.loaded = keys, true // whole: a key that was taken out is gone
		}
		s.reading = false
		close(s.news)
		s.news = make(chan struct{})
		s.mu.Unlock()
		if err != nil {
			wait = fetchAgain
			log.Error("the issuer's keys can't be read; the last that were stay in force", "url", url, "error", err)
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-s.ask:
		case <-ctx.Done():
			t.Stop()
			return
		}
		t.Stop()
		s.mu.Lock()
		s.reading, s.tried = true, time.Now()
		s.mu.Unlock()
	}
}

// find returns the key for a token. Where none fits, keys that are followed are
// read once more, but not more often than every fetchLeast for all requests
// together, and a request waits no longer than waitForKeys.
func (s *keySet) find(ctx context.Context, kid, algorithm string) (any, error) {
	k, err := s.look(kid, algorithm)
	if err == nil || s.ask == nil || err.Code == CodeAlgorithm {
		if err != nil {
			return nil, err
		}
		return k, nil
	}
	s.mu.Lock()
	if !s.reading && time.Since(s.tried) >= fetchLeast {
		s.reading, s.tried = true, time.Now()
		select {
		case s.ask <- struct{}{}:
		default:
		}
	}
	reading, news := s.reading, s.news
	s.mu.Unlock()
	if reading {
		ctx, cancel := context.WithTimeout(ctx, waitForKeys)
		defer cancel()
		select {
		case <-news:
		case <-ctx.Done():
		case <-s.done:
		}
	}
	k, err = s.look(kid, algorithm)
	if err != nil {
		return nil, err
	}
	return k, nil
}

// look finds the key among those that there are.
func (s *keySet) look(kid, algorithm string) (any, *Refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.loaded {
		return nil, &Refusal{CodeKeysMissing, "the host could not read the issuer's keys yet; try again in a while"}
	}
	var found []key
	for _, k := range s.keys {
		if k.id == kid || k.id == "" || kid == "" && len(s.keys) == 1 {
			found = append(found, k)
		}
	}
	for _, k := range found {
		if k.algorithm == algorithm {
			return k.key, nil
		}
	}
	if len(found) > 0 {
		return nil, &Refusal{CodeAlgorithm, "the JWT's algorithm is not the one that its key is for"}
	}
	return nil, &Refusal{CodeKey, "the JWT is signed with a key (kid) that is not among the issuer's"}
}

// fetchKeys reads a JWK set.
func fetchKeys(ctx context.Context, url string, client *http.Client) ([]key, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers %s", resp.Status)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxKeySetBytes+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxKeySetBytes {
		return nil, fmt.Errorf("it is larger than %d bytes", maxKeySetBytes)
	}
	return parseKeys(text)
}

// parseKeys reads a JWK set (RFC 7517). Keys that sign nothing here are left
// out: of other types, for encryption, and secrets, which no set that others
// can read may have. A set with no other is an error.
func parseKeys(text []byte) ([]key, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, fmt.Errorf("it is no JWK set: %w", err)
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("it has more than %d keys", maxKeys)
	}
	var keys []key
	var why error
	for _, raw := range set.Keys {
		var m jwkset.JWKMarshal
		if err := json.Unmarshal(raw, &m); err != nil {
			why = err
			continue
		}
		if m.USE != "" && m.USE != jwkset.UseSig {
			continue
		}
		m.X5U, m.X5C, m.X5T, m.X5TS256 = "", nil, "", "" // the key itself is what counts, and nothing is to be fetched
		j, err := jwkset.NewJWKFromMarshal(m, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
		if err != nil {
			why = err
			continue
		}
		k := key{id: m.KID, key: j.Key()}
		switch pub := k.key.(type) {
		case *rsa.PublicKey:
			if pub.N.BitLen() < 2048 {
				why = errors.New("an RSA key is shorter than 2048 bits")
				continue
			}
			k.algorithm = "RS256"
		case *ecdsa.PublicKey:
			if pub.Curve != elliptic.P256() {
				continue
			}
			k.algorithm = "ES256"
		case ed25519.PublicKey:
			k.algorithm = "EdDSA"
		default:
			continue
		}
		if m.ALG != "" && string(m.ALG) != k.algorithm {
			continue
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, errors.Join(errors.New("it has no key for RS256, ES256 or EdDSA"), why)
	}
	return keys, nil
}
