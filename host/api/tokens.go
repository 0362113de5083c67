package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/auricle-dev/auricle/host/auth"
)

const (
	tokensPath    = "/v1/tokens" // where browsers' pages get tokens
	maxTTLSeconds = 3600
)

// tokenRequest is the body of POST /v1/tokens. Both may be left out.
type tokenRequest struct {
	UID        string `json:"uid"`
	TTLSeconds int    `json:"ttl_seconds"`
}

type tokenBody struct {
	Token   string    `json:"token"`
	UID     string    `json:"uid"`
	Expires time.Time `json:"expires_at"`
}

// issueToken answers POST /v1/tokens.
func (h *handler) issueToken(w http.ResponseWriter, r *http.Request) {
	if _, err := query(r); err != nil {
		fail(w, r, http.StatusBadRequest, "bad_query", err.Error())
		return
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		fail(w, r, http.StatusUnsupportedMediaType, "bad_content_type", "send JSON, with Content-Type: application/json")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	if err != nil {
		fail(w, r, http.StatusBadRequest, "bad_body", fmt.Sprintf("the body could not be read, or is larger than %d bytes", maxBodyBytes))
		return
	}
	req, err := parseTokenRequest(body)
	if err != nil {
		fail(w, r, http.StatusBadRequest, "bad_body", err.Error())
		return
	}
	id := identity(r)
	if req.UID == "" {
		req.UID = id.UID
	}
	if req.UID == "" {
		fail(w, r, http.StatusBadRequest, "bad_uid", "uid is missing; say whose token it is to be, which these credentials leave open")
		return
	}
	if err := checkUID(req.UID); err != nil {
		fail(w, r, http.StatusBadRequest, "bad_uid", err.Error())
		return
	}
	if !id.ActsFor(req.UID) {
		h.refuse(w, r, &auth.Refusal{Code: auth.CodeUser, Message: "these credentials are another user's; leave uid out for their own"})
		return
	}
	token, expires, err := h.o.Auth.Issue(id, req.UID, time.Duration(req.TTLSeconds)*time.Second)
	var f *auth.Refusal
	switch {
	case errors.As(err, &f):
		failAuth(w, r, f)
	case err != nil:
		h.o.Logger.Error("issuing a token", "request", requestID(r), "error", err)
		fail(w, r, http.StatusInternalServerError, "internal", "something is wrong in the host; its log says more under this request id")
	default:
		respond(w, http.StatusOK, tokenBody{token, req.UID, expires.UTC()})
	}
}

// parseTokenRequest reads a JSON object whose members are known and given once.
func parseTokenRequest(body []byte) (q tokenRequest, err error) {
	d := json.NewDecoder(strings.NewReader(string(body)))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return q, errors.New(`the body is not a JSON object; for example {"uid":"ada"}, or {}`)
	}
	var seen []string
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return q, fmt.Errorf("the body is not JSON: %w", err)
		}
		name, _ := t.(string)
		if slices.Contains(seen, name) {
			return q, fmt.Errorf("member %.64q is given twice", name)
		}
		seen = append(seen, name)
		switch name {
		case "uid":
			if err := d.Decode(&q.UID); err != nil || q.UID == "" {
				return q, errors.New("uid is not a string with something in it")
			}
		case "ttl_seconds":
			if err := d.Decode(&q.TTLSeconds); err != nil || q.TTLSeconds < 1 || q.TTLSeconds > maxTTLSeconds {
				return q, fmt.Errorf("ttl_seconds is not a whole number from 1 to %d", maxTTLSeconds)
			}
		default:
			return q, fmt.Errorf("unknown member %.64q; known: uid, ttl_seconds", name)
		}
	}
	if _, err := d.Token(); err != nil {
		return q, fmt.Errorf("the body is not JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return q, errors.New("there is more behind the JSON object")
	}
	return q, nil
}
