// What a server logs of what it is asked and answers.

package port

import "github.com/vishwaops/vishwa/schemas"

// Arms of a log: which of several that answer at once a release is.
const (
	ArmOnly     = "default"  // it is alone
	ArmStable   = "stable"   // it serves what the others do not
	ArmBaseline = "baseline" // the same release as stable, begun when the canary was
	ArmCanary   = "canary"   // the new one
	ArmShadow   = "shadow"   // the new one, asked what another answered: nobody got its answer
)

// PredictionLog is what a release logs.
type PredictionLog struct {
	schemas.PredictionLog
	// Personal are the columns that are left out, or hashed as declared.
	Personal []string `json:"personalColumns,omitempty"`
}

// Logging is how the log of what is served is doing, since its host began it.
type Logging struct {
	Place   string `json:"place"`             // where it is kept
	Rows    int64  `json:"rows"`              // written
	Dropped int64  `json:"dropped,omitempty"` // requests that found no room in its queue
	Lost    int64  `json:"lost,omitempty"`    // rows that could not be written
	Waiting int64  `json:"waiting,omitempty"` // files on their way to a bucket
	Error   string `json:"error,omitempty"`   // why the last file could not be written or sent
}
