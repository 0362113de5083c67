package stream

import (
	"fmt"
	"net/http"

	"github.com/auricle-dev/auricle/sdk/wire"
)

// Of a dialect whose credentials come late, connections are opened by whoever
// likes. Until one has shown whose it is, it takes a place of these: one in
// unknownShare of those that the host has, unknownLeast at least. So whoever
// opens connections and says nothing keeps nobody else out but for that.
const (
	unknownShare = 10
	unknownLeast = 16
)

// admitUnknown takes a place for a stream of nobody yet, or refuses it. known
// gives the place back.
func (s *Server) admitUnknown() *refusal {
	most := max(s.o.Sessions.MaxSessions()/unknownShare, unknownLeast)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unknown >= most {
		return &refusal{status: http.StatusServiceUnavailable, code: wire.CodeHostFull, retryAfter: s.o.Config.StartTimeout,
			message: fmt.Sprintf("%d streams have not said yet whose they are, as many as may at once; connect again in a while, or show credentials in the request", most)}
	}
	s.unknown++
	return nil
}

// known notes that a stream has shown whose it is.
func (s *Server) known(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaveUnknown(st)
}

// leaveUnknown gives the place of st back, if it has one. s.mu is held.
func (s *Server) leaveUnknown(st *stream) {
	if st.unknown {
		st.unknown = false
		s.unknown--
	}
}
