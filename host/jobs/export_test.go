package jobs

import "time"

// Most, Wait and Jittered are what the policy of attempts says.
func Most(attempts int, reason string) int { return policy{attempts: attempts}.most(reason) }

func Wait(attempts int, over time.Duration, k int) time.Duration {
	return policy{attempts: attempts, over: over}.wait(k)
}

var Jittered = jittered
