package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"sibyl/inference"
)

const (
	// checkRuns is how often each version is run to be timed, and checkTimeout bounds all of that.
	checkRuns    = 15
	checkTimeout = 30 * time.Second
)

// modelsCommand checks a model repository without a server and without a database: it loads and runs every version.
type modelsCommand struct {
	EngineConfig `embed:""`

	JSON bool `name:"json" help:"Print an array of objects instead of a table."`
}

// modelReport is what was found of one version.
type modelReport struct {
	Model   string `json:"model"`
	Version int    `json:"version"`
	State   string `json:"state"`
	// Reason is why it is not READY, or does not answer.
	Reason   string `json:"reason,omitempty"`
	Serving  bool   `json:"serving"`
	Shadow   bool   `json:"shadow"`
	Kind     string `json:"kind,omitempty"`
	Provider string `json:"provider,omitempty"`
	// Inputs are the tensors that it takes, as `image FP32 [-1 3 224 224]`.
	Inputs  []string `json:"inputs,omitempty"`
	Classes int      `json:"classes,omitempty"`
	// MaxBatchSize is how many images may share a run.
	MaxBatchSize int `json:"maxBatchSize,omitempty"`
	// Load is the time from the files to READY or FAILED, and Run the median of the runs of one image alone.
	Load milliseconds `json:"loadMilliseconds"`
	Run  milliseconds `json:"runMilliseconds,omitempty"`
}

// milliseconds are printed with three digits behind the point.
type milliseconds float64

func (m milliseconds) String() string {
	if m == 0 {
		return ""
	}
	return fmt.Sprintf("%.3f ms", float64(m))
}

// Run prints what it finds. A version that is not READY, or that does not answer, is an error, and so is one that is to serve
// and not there.
func (c *modelsCommand) Run(ctx context.Context) error {
	c.Probe = probeItself()
	o := c.options()
	o.Logger = newLogger(os.Stderr, "text", "warn") // what keeps another server from being reached is told there alone
	engine, err := inference.Open(ctx, o)
	if err != nil {
		return err
	}
	defer func() { _ = engine.Close() }()
	reports := reportModels(ctx, engine)
	if err := printModels(os.Stdout, reports, c.JSON); err != nil {
		return err
	}
	failed := 0
	for _, r := range reports {
		if r.Reason != "" || r.State != string(inference.ModelReady) {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d versions do not answer", failed, len(reports))
	}
	return engine.Ready()
}

// reportModels tells of every version of the engine, and times those that are READY.
func reportModels(ctx context.Context, engine *inference.Engine) []modelReport {
	var reports []modelReport
	for _, m := range engine.Models() {
		for _, v := range m.Versions {
			r := reportVersion(v)
			r.Serving, r.Shadow = v == m.Serving, v == m.Shadow
			if v.State == inference.ModelReady {
				run, err := timeRun(ctx, engine, v)
				if err != nil {
					r.Reason = "it does not answer: " + err.Error()
				}
				r.Run = inMilliseconds(run)
			}
			reports = append(reports, r)
		}
	}
	for _, s := range engine.Statistics() {
		i := slices.IndexFunc(reports, func(r modelReport) bool { return r.Model == s.Model && r.Version == s.Version })
		reports[i].MaxBatchSize = s.MaxBatchSize
	}
	return reports
}

// reportVersion tells what is known without running it.
func reportVersion(v *inference.ModelVersion) modelReport {
	r := modelReport{
		Model: v.Name, Version: v.Version, State: string(v.State), Kind: string(v.Output.Kind), Classes: len(v.ClassNames),
		Load: inMilliseconds(v.LoadDuration),
	}
	if v.StateReason != nil {
		r.Reason = *v.StateReason
	}
	if v.ExecutionProvider != nil {
		r.Provider = *v.ExecutionProvider
	}
	for _, input := range v.Inputs {
		r.Inputs = append(r.Inputs, fmt.Sprint(input.Name, " ", input.Datatype, " ", input.Shape))
	}
	return r
}

func inMilliseconds(d time.Duration) milliseconds { return milliseconds(d.Seconds() * 1000) }

// timeRun is the median time of a version's runs of one picture.
func timeRun(ctx context.Context, engine *inference.Engine, v *inference.ModelVersion) (time.Duration, error) {
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 32, 32))); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	var times []time.Duration
	for range checkRuns {
		result, err := engine.Predict(ctx, v.Name, v.Version, picture.Bytes())
		if err != nil {
			return 0, err
		}
		times = append(times, result.Timing.Inference)
	}
	slices.Sort(times)
	return times[len(times)/2], nil
}

// printModels writes a table for people, with the reasons of what does not answer below it, or JSON for programs.
func printModels(w io.Writer, reports []modelReport, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(reports)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "MODEL\tVERSION\tSTATE\tROUTE\tKIND\tPROVIDER\tINPUT\tCLASSES\tBATCH\tLOAD\tRUN")
	for _, r := range reports {
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%v\t%v\n", r.Model, r.Version, r.State, r.route(), r.Kind,
			r.Provider, strings.Join(r.Inputs, ", "), count(r.Classes), count(r.MaxBatchSize), r.Load, r.Run)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, r := range reports {
		if r.Reason != "" {
			fmt.Fprintf(w, "\n%s %d is %s: %s\n", r.Model, r.Version, r.State, r.Reason)
		}
	}
	return nil
}

// count leaves a cell empty where there is nothing to count.
func count(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// route is what requests that name no version have of this one.
func (r modelReport) route() string {
	switch {
	case r.Serving:
		return "serving"
	case r.Shadow:
		return "shadow"
	}
	return ""
}
