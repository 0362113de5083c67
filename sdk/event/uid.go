package event

// MaxUIDBytes is the longest uid.
const MaxUIDBytes = 128

// ValidUID reports whether s may be a user's uid: 1 to MaxUIDBytes printable
// ASCII characters without spaces.
func ValidUID(s string) bool {
	if s == "" || len(s) > MaxUIDBytes {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
