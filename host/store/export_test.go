package store

// LimitNotes lowers how many notes a user may have.
func LimitNotes(s *Store, most int) { s.mostNotes = most }
