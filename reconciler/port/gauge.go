// What other programs measure of a deployment.

package port

import "context"

// Gauge measures something of what is served.
type Gauge interface {
	// Measure is what the gauge shows now. A measurement of nothing has N = 0 and no value: it
	// is never 0. A value that is no number is Invalid, as is an answer that is not one reading a
	// name; a tool that does not answer is Transient, and one that refuses is Denied.
	Measure(ctx context.Context) ([]Measurement, error)
}

// Measurement is one number that a gauge shows.
type Measurement struct {
	What  string   // the query, or the column
	N     int64    // of how many samples or rows; 0: of none, and there is no value
	Value *float64 // finite
	Alarm bool     // beyond what the gauge's own declaration or tool allows
}
