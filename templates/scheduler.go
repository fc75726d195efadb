// What vishwa export writes: the one file that a scheduler needs to begin Vishwa's worker.

package templates

import (
	_ "embed"
	"regexp"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

//go:embed scheduler/airflow.py
var airflowDAG string

// nameOfDAG is what Airflow takes for a DAG, and stands in Python as it is.
var nameOfDAG = regexp.MustCompile(`^[A-Za-z0-9_.~-]{1,250}$`)

// AirflowDAG is the file of a DAG of that name.
func AirflowDAG(name string) ([]byte, error) {
	if !nameOfDAG.MatchString(name) {
		return nil, fault.WithHint(fault.New(fault.Invalid, "%q cannot be the name of a DAG", name), "use letters, digits, dots, hyphens and underscores, at most 250")
	}
	return []byte(strings.ReplaceAll(airflowDAG, "[[DAG]]", name)), nil
}
