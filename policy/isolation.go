// What rules see of isolation: of each run that a model was made by, of what is served,
// and the least level that an environment asks for.

package policy

import (
	"cmp"

	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

type runDoc struct {
	Ref       schemas.Ref   `json:"ref"`
	Level     string        `json:"level"`
	Isolation *isolationDoc `json:"isolation"` // null: recorded before that was known
	OnBehalf  *int          `json:"onBehalf"`
	Runner    string        `json:"runner"`
	Image     *string       `json:"image"`
	External  bool          `json:"external"` // work of the team's: nothing of how it came to be is known
}

// isolationDoc is port.Isolation with every field there: rules see what it lacks.
type isolationDoc struct {
	Level    string `json:"level"`
	Landlock int    `json:"landlock"`
	Network  string `json:"network"`
	Limits   string `json:"limits"`
	User     string `json:"user"`
}

// ran is a run for rules.
func ran(r *Run) *runDoc {
	if r == nil {
		return nil
	}
	return &runDoc{r.Ref, r.Isolation.Rung(), apart(r.Isolation), pull(r.OnBehalf), cmp.Or(r.Runner, schemas.LocalRunner), orNull(r.Image), r.External}
}

func apart(i *port.Isolation) *isolationDoc {
	if i == nil {
		return nil
	}
	return &isolationDoc{i.Rung(), i.Landlock, i.Network, i.Limits, i.User}
}

// pull is the number of a pull request, or null.
func pull(n int) *int {
	if n == 0 {
		return nil
	}
	return &n
}

// Least is the least level of isolation that a deployment to an environment asks for,
// which was in another one before, or "".
func Least(environment, was string, p *schemas.Project) string {
	return port.Stricter(p.Environments[environment].Isolation, p.Environments[was].Isolation)
}

// orNull is s, or null where it is not said.
func orNull(l string) *string {
	if l == "" {
		return nil
	}
	return &l
}
