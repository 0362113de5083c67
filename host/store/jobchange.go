package store

// JobChange is what a follower of the Jobs is told.
type JobChange struct {
	Job      Job // with Gone, only App and Conversation
	Revision Revision
	Gone     bool // it was removed
	Synced   bool // nothing else: all that existed has been told
}
