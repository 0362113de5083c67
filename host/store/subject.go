package store

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// The longest id and uid, in bytes.
const (
	maxIDBytes  = 128
	maxUIDBytes = 128
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

func openSubject(id string) string { return "open." + id }

func conversationSubject(uid, id string) string {
	return "conversation." + base64.RawURLEncoding.EncodeToString([]byte(uid)) + "." + id
}

func partSubject(id, hash string, n int) string { return fmt.Sprintf("part.%s.%s.%d", id, hash, n) }

func resultSubject(id, invocation string) string { return "result." + id + "." + invocation }

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
