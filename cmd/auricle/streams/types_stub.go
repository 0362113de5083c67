package streams

type (
	Transcripts struct{}
	AudioApp    struct{}
	Churn       struct{}
	Long        struct{}
	Disturbed   struct{}
)
