// What vishwa export writes: the one file that a scheduler needs to begin Vishwa's worker.

package templates

import (
	_ "embed"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

//go:embed scheduler/airflow.py
var airflowDAG string

//go:embed scheduler/Jenkinsfile
var jenkinsfile string

// labelOfMachine is one of Jenkins's machines, and stands in Groovy as it is.
var labelOfMachine = lazyregexp.New(`^[A-Za-z0-9_.-]{0,100}$`)

// JenkinsPipeline is a pipeline on machines of that label; without one, on any.
func JenkinsPipeline(of string) ([]byte, error) {
	if !labelOfMachine.MatchString(of) {
		return nil, fault.WithHint(fault.New(fault.Invalid, "%q cannot be the label of a machine", of), "use letters, digits, dots, hyphens and underscores, at most 100")
	}
	return []byte(strings.ReplaceAll(jenkinsfile, "[[LABEL]]", of)), nil
}

// nameOfDAG is what Airflow takes for a DAG, and stands in Python as it is.
var nameOfDAG = lazyregexp.New(`^[A-Za-z0-9_.~-]{1,250}$`)

// AirflowDAG is the file of a DAG of that name.
func AirflowDAG(name string) ([]byte, error) {
	if !nameOfDAG.MatchString(name) {
		return nil, fault.WithHint(fault.New(fault.Invalid, "%q cannot be the name of a DAG", name), "use letters, digits, dots, hyphens and underscores, at most 250")
	}
	return []byte(strings.ReplaceAll(airflowDAG, "[[DAG]]", name)), nil
}
