// Data that a DAG of Airflow makes: what Airflow says is new is taken from where it is.

package schemas

import "strings"

// AirflowData is data at a place, which moves when Airflow says so: by the newest event of an asset, or the newest run of a DAG that succeeded.
type AirflowData struct {
	// URL is the address of Airflow 3, without /api.
	URL string `json:"url" jsonschema:"required,pattern=^https?://" part:"key"`
	// Token names the variable that holds a bearer token, or user:password. Variables of other names are not a declaration's to send.
	Token string `json:"token" jsonschema:"required,pattern=^VISHWA_SOURCE_[A-Z0-9_]+$" part:"key"`
	// Asset is the URI of an asset, as Airflow has it.
	Asset string `json:"asset,omitempty" part:"key"`
	// DAG is the id of a DAG.
	DAG string `json:"dag,omitempty" jsonschema:"pattern=^[A-Za-z0-9._-]+$,maxLength=250" part:"key"`
	// S3 is where the data is; {run} in its url is the id of the run that made it.
	S3 *S3 `json:"s3,omitempty" part:"key"`
	// HTTP is where the data is; {run} in its url is the id of the run that made it.
	HTTP *HTTP `json:"http,omitempty" part:"key"`
}

// check reports what a schema cannot say of it.
func (a *AirflowData) check(d *document, field string) {
	if a == nil {
		return
	}
	if (a.Asset == "") == (a.DAG == "") {
		d.problem(field, "waits for one thing; give one of asset and dag")
	}
	if (a.S3 == nil) == (a.HTTP == nil) {
		d.problem(field, "has its data in one place; give one of s3 and http")
	}
	withoutCredential(d, field+".url", a.URL, "name the variable in token")
	a.S3.check(d, field+".s3")
	if a.HTTP != nil { // whoever begins a run chooses its id
		_, rest, _ := strings.Cut(a.HTTP.URL, "://")
		if host, _, _ := strings.Cut(rest, "/"); strings.Contains(host, "{run}") {
			d.problem(field+".http.url", "has {run} where the server is named, so that a run's id would say which is asked; put it behind the first slash")
		}
	}
}

// NamesRun tells whether the data of each run is at a place of its own.
func (a AirflowData) NamesRun() bool {
	return a.S3 != nil && strings.Contains(a.S3.URL, "{run}") || a.HTTP != nil && strings.Contains(a.HTTP.URL, "{run}")
}

// Place is where the data is, as run has made it.
func (a AirflowData) Place(run string) DataSource {
	var at DataSource
	if a.S3 != nil {
		s := *a.S3
		s.URL = strings.ReplaceAll(s.URL, "{run}", run)
		at.S3 = &s
	}
	if a.HTTP != nil {
		h := *a.HTTP
		h.URL = strings.ReplaceAll(h.URL, "{run}", run)
		at.HTTP = &h
	}
	return at
}
