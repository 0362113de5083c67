package store

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// The longest id, uid and name of an app, in bytes.
const (
	maxIDBytes  = 128
	maxUIDBytes = 128
	maxAppBytes = 128
)

// checkID returns ErrBadID, with what is wrong, unless id can be a token of a
// subject as it is.
func checkID(what, id string) error {
	if id == "" || len(id) > maxIDBytes {
		return fmt.Errorf("%w: %s of %d bytes, must be 1 to %d", ErrBadID, what, len(id), maxIDBytes)
	}
	if !validID(id) {
		return fmt.Errorf("%w: %s %q may hold only letters, digits, '_' and '-'", ErrBadID, what, id)
	}
	return nil
}

// validID reports whether id consists of letters, digits, '_' and '-'.
func validID(id string) bool {
	for i := range len(id) {
		c := id[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return id != ""
}

func checkUID(uid string) error {
	if uid == "" || len(uid) > maxUIDBytes {
		return fmt.Errorf("%w: uid of %d bytes, must be 1 to %d", ErrBadID, len(uid), maxUIDBytes)
	}
	return nil
}

// checkApp returns ErrBadID unless app can be an app's name.
func checkApp(app string) error {
	if app == "" || len(app) > maxAppBytes {
		return fmt.Errorf("%w: app name of %d bytes, must be 1 to %d", ErrBadID, len(app), maxAppBytes)
	}
	return nil
}

func openSubject(session, id string) string { return "open." + session + "." + id }

// legacyOpenSubject is where an older version of this host appended.
func legacyOpenSubject(id string) string { return "open." + id }

// parseOpenSubject undoes openSubject, and legacyOpenSubject: session is then
// empty.
func parseOpenSubject(subject string) (session, id string, ok bool) {
	rest, ok := strings.CutPrefix(subject, "open.")
	if !ok {
		return "", "", false
	}
	session, id, ok = strings.Cut(rest, ".")
	if !ok {
		session, id = "", rest
	}
	return session, id, validID(id)
}

func conversationSubject(uid, id string) string {
	return "conversation." + base64.RawURLEncoding.EncodeToString([]byte(uid)) + "." + id
}

func partSubject(id, hash string, n int) string { return fmt.Sprintf("part.%s.%s.%d", id, hash, n) }

func resultSubject(id, invocation string) string { return "result." + id + "." + invocation }

// jobResultPrefix begins the last token of a subject that holds the result of
// a job: one an app. Ids of invocations begin with something else.
const jobResultPrefix = "j_"

func jobResultSubject(id, app string) string {
	return "result." + id + "." + jobResultPrefix + appToken(app)
}

// parseJobResultSubject returns the app whose job's result a subject holds.
func parseJobResultSubject(subject string) (app string, ok bool) {
	tokens := strings.Split(subject, ".")
	if len(tokens) != 3 {
		return "", false
	}
	token, ok := strings.CutPrefix(tokens[2], jobResultPrefix)
	if !ok {
		return "", false
	}
	return parseAppToken(token)
}

func jobSubject(app, id string) string { return "job." + appToken(app) + "." + id }

// parseJobSubject undoes jobSubject.
func parseJobSubject(subject string) (app, id string, ok bool) {
	rest, ok := strings.CutPrefix(subject, "job.")
	if !ok {
		return "", "", false
	}
	token, id, ok := strings.Cut(rest, ".")
	if !ok || !validID(id) {
		return "", "", false
	}
	app, ok = parseAppToken(token)
	return app, id, ok
}

func memorySubject(uid, id string) string {
	return "memory." + base64.RawURLEncoding.EncodeToString([]byte(uid)) + "." + id
}

func hostSubject(id string) string { return "host." + id }

// claimSubject is where hosts are told of a claim. Nothing keeps it.
func claimSubject(session string) string { return "auricle.claim." + session }

// appToken is an app's name as a token of a subject.
func appToken(app string) string { return base64.RawURLEncoding.EncodeToString([]byte(app)) }

func parseAppToken(token string) (app string, ok bool) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	return string(b), err == nil && len(b) > 0
}

// parseConversationSubject undoes conversationSubject.
func parseConversationSubject(subject string) (uid, id string, ok bool) {
	rest, ok := strings.CutPrefix(subject, "conversation.")
	if !ok {
		return "", "", false
	}
	token, id, ok := strings.Cut(rest, ".")
	if !ok || !validID(id) {
		return "", "", false
	}
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return "", "", false
	}
	return string(b), id, true
}
