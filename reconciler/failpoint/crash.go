// Package failpoint names the moments at which a process may be killed and nothing may
// be lost or done twice for it. A test kills a process at each of them; otherwise
// they do nothing.
package failpoint

// Point is such a moment.
type Point string

// The points, in the order in which a pass meets them.
const (
	Fetched     Point = "fetched"         // the mirror holds the revision
	Leased      Point = "leased"          // the lease is taken
	Planned     Point = "comment said"    // the comment tells the plan
	RunBegun    Point = "run begun"       // a run is under way, and nobody else knows
	RunEnded    Point = "run ended"       // its outputs are in the store, and no entry says so
	Written     Point = "entry written"   // an entry is signed and no remote has it
	Pushed      Point = "entry pushed"    // the remote has it, and this clone does not follow
	Recorded    Point = "entry recorded"  // both have it
	Signed      Point = "model signed"    // the bundles are in the store, and no entry says so
	Provisioned Point = "provisioned"     // Terraform has applied, and no entry says so
	Installed   Point = "installed"       // the environment of an image lies in a folder of its own, and nothing of it was sent
	Deployed    Point = "deployed"        // the release answers, or the package is named, and no entry says so
	Moved       Point = "canary moved"    // a release that is tried has another part of the requests, or none, or serves, and no entry says so
	Approved    Point = "approval noted"  // an approval is recorded, and the comment does not say so
	Shown       Point = "rollout shown"   // the forge shows a deployment
	Marked      Point = "commit marked"   // a mark is shown
	Answered    Point = "remark answered" // a command was followed and has its reaction
)

// Points lists them all.
func Points() []Point {
	return []Point{Fetched, Leased, Planned, RunBegun, RunEnded, Written, Pushed, Recorded, Signed, Provisioned, Installed, Deployed, Moved, Approved, Shown, Marked, Answered}
}

// Hook is called at each point that is met; only a test sets it, before anything runs.
var Hook func(Point)

// At marks that p is met.
func At(p Point) {
	if Hook != nil {
		Hook(p)
	}
}
