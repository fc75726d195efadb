// The kind Dataset: where data is, how its pin moves, and what is promised of it.

package schemas

import "strings"

// Dataset is data that training depends on.
type Dataset struct {
	// Source says where the data is.
	Source DataSource `json:"source" jsonschema:"required" part:"key"`
	// Format says how to read the data; without it, its name does: .csv, .tsv, .jsonl, .ndjson, .parquet, and a folder of such files.
	Format *Format `json:"format,omitempty" part:"key"`
	// Columns describes the columns; the data is checked against them before anything runs.
	Columns map[string]Column `json:"columns,omitempty" part:"key"`
	// Rows bounds how many rows there are.
	Rows *Bounds `json:"rows,omitempty" part:"key"`
	// Freshness bounds how old the newest row is.
	Freshness *Freshness `json:"freshness,omitempty" part:"key"`
	// Violations says what is done about data that violates its constraints: deny holds everything that needs it, warn is reported.
	Violations string `json:"violations,omitempty" jsonschema:"enum=deny,enum=warn,default=deny" part:"key"`
	// Purpose says why personal data is used; required where a column is tagged personal.
	Purpose string `json:"purpose,omitempty" part:"key"`
}

// DataSource is where data is; exactly one of path, dvc, http, s3, kafka, airflow and predictions is set.
type DataSource struct {
	// Path is a file or folder of the repository.
	Path string `json:"path,omitempty" part:"key"`
	// DVC is data that a .dvc file or dvc.lock points to.
	DVC *DVC `json:"dvc,omitempty" part:"key"`
	// HTTP is a file on a web server.
	HTTP *HTTP `json:"http,omitempty" part:"key"`
	// S3 is an object, or all objects below a prefix.
	S3 *S3 `json:"s3,omitempty" part:"key"`
	// Kafka is a range of the records of a topic.
	Kafka *Kafka `json:"kafka,omitempty" part:"key"`
	// Airflow is data at a place, which moves when Airflow says so.
	Airflow *AirflowData `json:"airflow,omitempty" part:"key"`
	// Predictions is what a deployment was asked and answered, with what came of it.
	Predictions *LoggedData `json:"predictions,omitempty" part:"key"`
	// Pin is the .dvc file that names the data of an http, s3, kafka, airflow or predictions source, or of another repository, as it was last downloaded; vishwa data refresh writes it.
	Pin string `json:"pin,omitempty" jsonschema:"pattern=\\.dvc$" part:"key"`
	// Refresh says when the source is looked at for data that has moved, and how the new pin is proposed.
	Refresh *Refresh `json:"refresh,omitempty" part:"placement"`
}

// Refresh says when a source is looked at, and what comes of data that has moved.
type Refresh struct {
	// Schedule is when the controller looks, as a cron expression ("0 6 * * 1") or @hourly, @daily and so on, in UTC; without it, vishwa data refresh alone looks.
	Schedule string `json:"schedule,omitempty" part:"placement"`
	// Propose says how the new pin comes into the tracked branch: as a pull request, or as a commit directly on it.
	Propose string `json:"propose,omitempty" jsonschema:"enum=pull-request,enum=commit,default=pull-request" part:"placement"`
	// Settle is how long the data must not have changed before it is downloaded, so that what is still being written is not.
	Settle Duration `json:"settle,omitempty" part:"placement"`
}

// DVC is data that a .dvc file or dvc.lock points to.
type DVC struct {
	// Path is the output's path, such as data/raw for data/raw.dvc.
	Path string `json:"path" jsonschema:"required" part:"key"`
	// Repo is the URL of another Git repository; without it, this one.
	Repo string `json:"repo,omitempty" part:"key"`
	// Revision is a branch, tag or commit of the other repository; without it, its default branch.
	Revision string `json:"revision,omitempty" part:"key"`
}

// HTTP is a file on a web server.
type HTTP struct {
	// URL is the file's address. It holds no password: name a token instead.
	URL string `json:"url" jsonschema:"required,pattern=^https?://" part:"key"`
	// Token names the variable whose value is sent as a bearer token, to this host alone. Its name begins with VISHWA_SOURCE_: no other variable is a declaration's to send.
	Token string `json:"token,omitempty" jsonschema:"pattern=^VISHWA_SOURCE_[A-Z0-9_]+$" part:"key"`
}

// S3 is a bucket, or what is below a prefix of it. Credentials come from the usual places: variables, shared files, the machine's role.
type S3 struct {
	// URL is the bucket and prefix, as s3://bucket/prefix.
	URL string `json:"url" jsonschema:"required,pattern=^s3://[a-z0-9][a-z0-9.-]+[a-z0-9](/.*)?$" part:"key"`
	// Endpoint is the address of a server other than Amazon's, such as http://127.0.0.1:9000.
	Endpoint string `json:"endpoint,omitempty" jsonschema:"pattern=^https?://" part:"key"`
	// Region is the bucket's region.
	Region string `json:"region,omitempty" part:"key"`
	// Profile is the profile of the shared configuration files.
	Profile string `json:"profile,omitempty" part:"key"`
	// PathStyle puts the bucket in the path of the address instead of its host; an endpoint of its own has it so unless this is false.
	PathStyle *bool `json:"pathStyle,omitempty" part:"key"`
	// Anonymous asks without credentials.
	Anonymous bool `json:"anonymous,omitempty" part:"key"`
}

// Address is what the server, the bucket and the prefix are called together: s3://BUCKET/PREFIX of Amazon's, or ENDPOINT/BUCKET/PREFIX.
func (s S3) Address() string {
	if s.Endpoint == "" {
		return s.URL
	}
	return strings.TrimRight(s.Endpoint, "/") + "/" + strings.TrimPrefix(s.URL, "s3://")
}

// Format says how tabular data is read.
type Format struct {
	// Type is the format of each file; folder is counted and not read.
	Type string `json:"type,omitempty" jsonschema:"enum=csv,enum=jsonl,enum=parquet,enum=folder" part:"key"`
	// Delimiter parts the fields of a CSV file; "\t" for tabs.
	Delimiter string `json:"delimiter,omitempty" jsonschema:"minLength=1,maxLength=1" part:"key"`
	// Quote is the character around fields that hold a delimiter, a quote or a line end.
	Quote string `json:"quote,omitempty" jsonschema:"minLength=1,maxLength=1" part:"key"`
	// Comment starts lines that are passed over.
	Comment string `json:"comment,omitempty" jsonschema:"minLength=1,maxLength=1" part:"key"`
	// NoHeader says that the first row holds data; columns are then named 1, 2, 3 and so on.
	NoHeader bool `json:"noHeader,omitempty" part:"key"`
	// Nulls lists the spellings of no value, besides the empty field.
	Nulls []string `json:"nulls,omitempty" part:"key"`
	// Encoding is the text's encoding by its web name, such as utf-16le, iso-8859-1 or windows-1252; a byte order mark is heeded.
	Encoding string `json:"encoding,omitempty" part:"key"`
}

// Column describes one column.
type Column struct {
	// Type is the type of every value. A date is 2006-01-02; a timestamp is RFC 3339, or a date with a time; a file in whose column no value has a time is one of midnights.
	Type string `json:"type,omitempty" jsonschema:"enum=number,enum=integer,enum=boolean,enum=string,enum=date,enum=timestamp" part:"key"`
	// Min is the smallest value allowed.
	Min *float64 `json:"min,omitempty" part:"key"`
	// Max is the largest value allowed.
	Max *float64 `json:"max,omitempty" part:"key"`
	// Values lists the only values allowed: texts, numbers or booleans.
	Values []Value `json:"values,omitempty" part:"key"`
	// Pattern is a regular expression (RE2) that the whole of every value matches.
	Pattern string `json:"pattern,omitempty" part:"key"`
	// Unique allows no value twice.
	Unique bool `json:"unique,omitempty" part:"key"`
	// Required refuses rows without a value.
	Required bool `json:"required,omitempty" part:"key"`
	// Tags are for policies: "personal" asks for the dataset's purpose, and keeps values out of reports and profiles.
	Tags []string `json:"tags,omitempty" part:"key"`
}

// Bounds are the least and the most of something counted.
type Bounds struct {
	// Min is the least.
	Min *int64 `json:"min,omitempty" jsonschema:"minimum=0" part:"key"`
	// Max is the most.
	Max *int64 `json:"max,omitempty" jsonschema:"minimum=0" part:"key"`
}

// Freshness bounds how old data is when it is pinned.
type Freshness struct {
	// Column is the date or timestamp column whose newest value counts.
	Column string `json:"column" jsonschema:"required" part:"key"`
	// MaxAge is how old the newest value may be.
	MaxAge Duration `json:"maxAge" jsonschema:"required" part:"key"`
}
