// The kind Monitor: what is held against what, when it is judged, and what comes of it.

package schemas

// Monitor compares what a deployment is asked and answers with what its model was trained on.
type Monitor struct {
	// Deployment is what is watched.
	Deployment Ref `json:"deployment" jsonschema:"required" part:"placement"`
	// Reference is the data that the model was trained on: an output of a transform, or a dataset. Without it, there is a baseline.
	Reference Ref `json:"reference,omitzero" part:"placement"`
	// Baseline is the reference where the data that the model was trained on is not at hand, or is not like what it is asked.
	Baseline *Baseline `json:"baseline,omitempty" part:"placement"`
	// Current says which rows are compared with it.
	Current Current `json:"current,omitempty" part:"placement"`
	// Columns names the columns that are compared, and how; without it, all columns of the reference, each as Evidently would.
	Columns map[string]Watching `json:"columns,omitempty" part:"placement"`
	// FDR is how large a share of the columns that are said to drift may be none (Benjamini-Hochberg over the columns).
	FDR *float64 `json:"fdr,omitempty" jsonschema:"minimum=0.0001,maximum=0.5,default=0.05" part:"placement"`
	// Persistence says how many of the last windows must have drifted before something is done about it.
	Persistence *Persistence `json:"persistence,omitempty" part:"placement"`
	// Labels says where outcomes are found, as they come.
	Labels *MonitorLabels `json:"labels,omitempty" part:"placement"`
	// Gates bound metrics of the window's rows whose outcome is known: accuracy, precision, recall, f1, specificity, roc_auc, mae or rmse.
	Gates []WindowGate `json:"gates,omitempty" part:"placement"`
	// Estimate is how a classifier's metrics are estimated until outcomes come: cbpe, by its own calibrated scores. What is estimated is never mixed with what is realized.
	Estimate string `json:"estimate,omitempty" jsonschema:"enum=cbpe" part:"placement"`
	// Predictions names the columns that hold what the model answered.
	Predictions Predictions `json:"predictions,omitempty" part:"placement"`
	// Gauges are measured by other programs, and judged together with the columns.
	Gauges []Gauge `json:"gauges,omitempty" part:"placement"`
	// Schedule says when the controller measures, as a cron expression ("0 6 * * 1") or @hourly, @daily and so on, in UTC; without it, vishwa monitor run alone does.
	Schedule string `json:"schedule,omitempty" part:"placement"`
	// OnDrift says what is done about drift; without it, it is recorded and reported.
	OnDrift *OnDrift `json:"onDrift,omitempty" part:"placement"`
	// Envelope says which retrainings may be merged without a person, where onDrift says retrain: within-envelope. It counts as the base branch declares it.
	Envelope *Envelope `json:"envelope,omitempty" part:"placement"`
}

// Baseline is the first rows that the model which is served was asked, by the deployment's log. They are kept once they have come, and stay the same until another model is served.
type Baseline struct {
	// Rows is how many.
	Rows int `json:"rows" jsonschema:"required,minimum=30,maximum=1000000" part:"placement"`
}

// Envelope is a predetermined plan of changes: which, how they are checked, and what they may do. A retraining that a monitor proposed and that keeps within all of it is merged; any other waits for people.
type Envelope struct {
	// Description says which changes it is for.
	Description string `json:"description" jsonschema:"required,minLength=1" part:"text"`
	// Protocol says how data is gathered, the model trained, evaluated and released.
	Protocol string `json:"protocol" jsonschema:"required,minLength=1" part:"text"`
	// Impact says what the changes may do to those whom the model is about, and what is done against it.
	Impact string `json:"impact" jsonschema:"required,minLength=1" part:"text"`
	// Data lists the datasets whose pins may move; without it, none.
	Data []Ref `json:"data,omitempty" part:"placement"`
	// Rounds lets the training be done again with the same data.
	Rounds bool `json:"rounds,omitempty" part:"placement"`
	// Metrics says by how much metrics may move; each is of rows that spec.evaluate of the Model scores both models on.
	Metrics []EnvelopeMetric `json:"metrics" jsonschema:"required,minItems=1" part:"placement"`
}

// EnvelopeMetric bounds how a metric may move from the model that is served to the new one.
type EnvelopeMetric struct {
	// Metric is the dotted name of a metric.
	Metric string `json:"metric" jsonschema:"required,minLength=1" part:"placement"`
	// Rows names rows of spec.evaluate.
	Rows string `json:"rows" jsonschema:"required,minLength=1" part:"placement"`
	// Down is by how much it may fall.
	Down *float64 `json:"down" jsonschema:"required,minimum=0" part:"placement"`
	// Up is by how much it may rise: a metric that is suddenly far better is a reason to look.
	Up *float64 `json:"up" jsonschema:"required,minimum=0" part:"placement"`
	// Min is the smallest value allowed.
	Min *float64 `json:"min,omitempty" part:"placement"`
	// Max is the largest value allowed.
	Max *float64 `json:"max,omitempty" part:"placement"`
}

// Current is the window: rows that are held against the reference.
type Current struct {
	// From is a dataset that holds the rows; without it, the deployment's log of predictions does.
	From Ref `json:"from,omitzero" part:"placement"`
	// Window is how far back the rows go, by their time; without it and rows, all of them.
	Window Duration `json:"window,omitempty" part:"placement"`
	// Rows is how many of the newest rows are taken.
	Rows int `json:"rows,omitempty" jsonschema:"minimum=1" part:"placement"`
	// Time is the column with the time of a row.
	Time string `json:"time,omitempty" jsonschema:"default=time" part:"placement"`
	// Season narrows the reference to rows of the window's hours; without it, all its rows are compared.
	Season *Season `json:"season,omitempty" part:"placement"`
}

// What a season repeats by.
const (
	EveryDay  = "day"
	EveryWeek = "week"
)

// Season says which rows of the reference are like those of a window, as what is asked at night is not what is asked at noon.
type Season struct {
	// Every is what repeats: day compares the window with the reference's rows of the same hours of the day, week with those of the same hours of the same weekdays, in UTC.
	Every string `json:"every" jsonschema:"required,enum=day,enum=week" part:"placement"`
	// Time is the reference's column with the time of a row; without it, that of spec.current.time.
	Time string `json:"time,omitempty" part:"placement"`
}

// Watching says how a column is compared.
type Watching struct {
	// Method is the statistic by the name that Evidently has for it, such as ks, psi or jensenshannon; auto takes the one that Evidently would.
	Method string `json:"method,omitempty" jsonschema:"default=auto" part:"placement"`
	// Threshold is from where on the score is an alarm; without it, the statistic's own.
	Threshold *float64 `json:"threshold,omitempty" jsonschema:"minimum=0" part:"placement"`
	// Type is what the column holds, where its values do not say it: number, or category.
	Type string `json:"type,omitempty" jsonschema:"enum=number,enum=category" part:"placement"`
}

// Persistence is so many violations of so many windows.
type Persistence struct {
	// Violations is how many windows must have drifted.
	Violations int `json:"violations" jsonschema:"required,minimum=1" part:"placement"`
	// Of is among how many of the last ones, the newest among them.
	Of int `json:"of" jsonschema:"required,minimum=1,maximum=100" part:"placement"`
}

// MonitorLabels says where the outcome of each row is found.
type MonitorLabels struct {
	// From is the dataset with the outcomes.
	From Ref `json:"from" jsonschema:"required" part:"placement"`
	// Key is the column that both have, and that names a row.
	Key string `json:"key,omitempty" jsonschema:"default=id" part:"placement"`
	// Label is the outcome's column; without it, label.
	Label string `json:"label,omitempty" jsonschema:"default=label" part:"placement"`
	// At is its column with the time at which an outcome became known: of several outcomes of a row the last before the deadline counts, and how late they come is shown. Without it, outcomes of one row that differ are left out.
	At string `json:"at,omitempty" part:"placement"`
	// Within is how long an outcome may take to come: rows that are younger are not missed.
	Within Duration `json:"within,omitempty" part:"placement"`
	// MinCoverage is for which share of the rows the outcome must have come before metrics are judged.
	MinCoverage float64 `json:"minCoverage,omitempty" jsonschema:"minimum=0,maximum=1,default=0.8" part:"placement"`
}

// Predictions names columns.
type Predictions struct {
	// Prediction is the column with the model's answer.
	Prediction string `json:"prediction,omitempty" jsonschema:"default=prediction" part:"placement"`
	// Score is the column with the score of the positive class, from 0 to 1.
	Score string `json:"score,omitempty" jsonschema:"default=score" part:"placement"`
	// Positive is the value of the positive class.
	Positive Value `json:"positive,omitempty" jsonschema:"default=1" part:"placement"`
}

// WindowGate is a bound on a metric of a window.
type WindowGate struct {
	// Metric is accuracy, precision, recall, f1, specificity, roc_auc, mae or rmse.
	Metric string `json:"metric" jsonschema:"required,enum=accuracy,enum=precision,enum=recall,enum=f1,enum=specificity,enum=roc_auc,enum=mae,enum=rmse" part:"placement"`
	// Min is the smallest value allowed.
	Min *float64 `json:"min,omitempty" part:"placement"`
	// Max is the largest value allowed.
	Max *float64 `json:"max,omitempty" part:"placement"`
}

// Gauge is one measurement by another program; exactly one field is set.
type Gauge struct {
	// Prometheus asks a Prometheus server for one number.
	Prometheus *PrometheusGauge `json:"prometheus,omitempty" part:"placement"`
	// Evidently reads a report that Evidently 0.7 wrote as JSON.
	Evidently *EvidentlyGauge `json:"evidently,omitempty" part:"placement"`
	// Whylogs compares two profiles that whylogs 1 wrote.
	Whylogs *WhylogsGauge `json:"whylogs,omitempty" part:"placement"`
}

// WhylogsGauge is two profiles, compared as whylogs does it: Kolmogorov-Smirnov over the quantile sketches of each column of numbers.
type WhylogsGauge struct {
	// Profile is of what is served now: a file of the repository, or an object, as s3://bucket/key.
	Profile string `json:"profile" jsonschema:"required" part:"placement"`
	// Reference is of what the model was trained on: a file of the repository, or an object, as s3://bucket/key.
	Reference string `json:"reference" jsonschema:"required" part:"placement"`
	// Endpoint is the address of a server of objects other than Amazon's, such as http://127.0.0.1:9000.
	Endpoint string `json:"endpoint,omitempty" jsonschema:"pattern=^https?://" part:"placement"`
	// Region is the bucket's region.
	Region string `json:"region,omitempty" part:"placement"`
	// Threshold is the p-value below which a column has drifted.
	Threshold *float64 `json:"threshold,omitempty" jsonschema:"minimum=0,maximum=1,default=0.05" part:"placement"`
}

// PrometheusGauge is a query whose answer is one number.
type PrometheusGauge struct {
	// URL is the server's address. It holds no password: name a token instead.
	URL string `json:"url" jsonschema:"required,pattern=^https?://" part:"placement"`
	// Query is a PromQL expression whose answer is one series, or a scalar.
	Query string `json:"query" jsonschema:"required,minLength=1" part:"placement"`
	// Min is the smallest value allowed.
	Min *float64 `json:"min,omitempty" part:"placement"`
	// Max is the largest value allowed.
	Max *float64 `json:"max,omitempty" part:"placement"`
	// For is how long the value must have been out of bounds, all the time; without it, now.
	For Duration `json:"for,omitempty" part:"placement"`
	// Token names the variable whose value is sent as a bearer token, to this host alone. Its name begins with VISHWA_SOURCE_: no other variable is a declaration's to send.
	Token string `json:"token,omitempty" jsonschema:"pattern=^VISHWA_SOURCE_[A-Z0-9_]+$" part:"placement"`
}

// EvidentlyGauge is a report of drift.
type EvidentlyGauge struct {
	// Report is the report as JSON, a file of the repository.
	Report string `json:"report" jsonschema:"required" part:"placement"`
}

// OnDrift says what is done when drift persists, or a gate is broken.
type OnDrift struct {
	// Retrain proposes to train again, as a pull request that people merge; within-envelope has it merged without them where it keeps within spec.envelope.
	Retrain string `json:"retrain" jsonschema:"required,enum=pull-request,enum=within-envelope" part:"placement"`
	// Data lists the datasets whose pins move with it.
	Data []Ref `json:"data,omitempty" part:"placement"`
	// Cooldown is how long after a proposal no other one is made.
	Cooldown Duration `json:"cooldown,omitempty" jsonschema:"default=7d" part:"placement"`
	// Budget bounds proposals.
	Budget *Budget `json:"budget,omitempty" part:"placement"`
}

// Budget is so many proposals a period.
type Budget struct {
	// Max is how many.
	Max int `json:"max" jsonschema:"required,minimum=1,maximum=64" part:"placement"`
	// Per is in how long.
	Per Duration `json:"per" jsonschema:"required" part:"placement"`
}

// Round makes a training another one, though nothing else of it has changed.
type Round struct {
	// Number counts rounds; another number is another key, and trains again.
	Number int `json:"number" jsonschema:"required,minimum=1" part:"key"`
	// Reason says why, for people.
	Reason string `json:"reason,omitempty" part:"text"`
}

// Retrain proposes by a calendar that a training is done again: where a time of the schedule has come since it was trained last.
type Retrain struct {
	// Schedule is when, as a cron expression ("0 6 1 * *") or @monthly, @weekly and so on, in UTC.
	Schedule string `json:"schedule" jsonschema:"required,minLength=1" part:"placement"`
	// Propose says how it comes into the tracked branch.
	Propose string `json:"propose,omitempty" jsonschema:"enum=pull-request,default=pull-request" part:"placement"`
	// Data lists the datasets whose pins move with it, as far as their sources have; where none has, the round goes up by one.
	Data []Ref `json:"data,omitempty" part:"placement"`
}
