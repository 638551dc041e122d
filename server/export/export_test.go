package export_test

import (
	"bytes"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"errors"
	"iter"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"sibyl/graph"
	"sibyl/persistence"
	"sibyl/server/export"
)

// odd is a text of all that a format may trip over.
const odd = "a \"b\", 'c';\r\nd\te\u2028\\ 数字 🔢 </script> \xc2\xa0"

// at is when the first row was made.
var at = time.Date(2026, 11, 23, 14, 5, 0, 120_000_000, time.UTC)

// outputs are of the three rows.
var outputs = []string{
	`[{"data": [0.25, 0.75], "name": "scores", "shape": [2], "datatype": "FP32"}]`,
	`[{"data": ["NaN", "-Infinity"], "name": "scores", "shape": [2], "datatype": "FP32"}]`,
	`[{"data": [-1.5], "name": "value", "shape": [1], "datatype": "FP32"}]`,
}

// image is that of the first row.
var image = []byte{0, 1, 0xfe, 0xff, '"', '\n'}

// stored are a classification with all it can have, one with nothing of it, and a regression.
func stored() []graph.Exported {
	rows := make([]graph.Exported, 3)
	for i := range rows {
		s := &persistence.Stored{
			Prediction: persistence.Prediction{
				ID: persistence.NewPredictionID(), InputID: persistence.NewInputID(),
				CreatedAt: at.Add(time.Duration(i) * time.Hour), ModelName: odd, ModelVersion: i + 1,
				Source: persistence.SourceRequest, Outputs: json.RawMessage(outputs[i]),
				DecodeMicroseconds: 1, QueueMicroseconds: 0, InferenceMicroseconds: 1 << 40,
			},
			Input: persistence.Input{
				ContentType: "image/png", Width: 28, Height: 20, ByteSize: len(image), SHA256: persistence.DigestOf(image),
			},
		}
		rows[i] = graph.Exported{Stored: s}
	}
	one := rows[0].Stored
	one.ClassIndex, one.ClassName, one.Confidence = ptr(1), ptr(odd), ptr(0.75)
	one.Labelled, one.Correct, one.Input.Filename, one.Image = true, ptr(false), ptr(odd), image
	one.Label = &persistence.Label{ClassIndex: ptr(0), ClassName: ptr(""), CreatedAt: at.Add(time.Minute)}
	rows[0].Scores = []float64{0.25, 0.75}
	rows[1].Input.Filename = ptr("=1+1")
	rows[2].Labelled = true
	rows[2].Label = &persistence.Label{Value: ptr(-1e-7), CreatedAt: at}
	rows[2].Values = []float64{-1.5}
	return rows
}

func ptr[T any](v T) *T { return &v }

// each gives the rows, and then the error, where there is one.
func each(rows []graph.Exported, err error) iter.Seq2[graph.Exported, error] {
	return func(yield func(graph.Exported, error) bool) {
		for _, row := range rows {
			if !yield(row, nil) {
				return
			}
		}
		if err != nil {
			yield(graph.Exported{}, err)
		}
	}
}

func write(t *testing.T, f export.Format, images bool, rows []graph.Exported) []byte {
	t.Helper()
	var file bytes.Buffer
	if err := export.Write(&file, f, images, each(rows, nil)); err != nil {
		t.Fatal(f, err)
	}
	return file.Bytes()
}

// table is what every format must hold: rows of values by the names of columns, as JSON has them.
func table(rows []graph.Exported, images bool) []map[string]any {
	tables := make([]map[string]any, len(rows))
	for i, row := range rows {
		var tensors any
		_ = json.Unmarshal(row.Outputs, &tensors)
		tables[i] = map[string]any{
			"id": row.ID.String(), "created_at": at.Add(time.Duration(i) * time.Hour).Format("2006-01-02T15:04:05.000Z"),
			"model": odd, "version": float64(i + 1), "source": "REQUEST",
			"class_index": nil, "class_name": nil, "confidence": nil, "scores": nil, "values": nil, "outputs": tensors,
			"labelled": row.Labelled, "correct": nil,
			"label_class_index": nil, "label_class_name": nil, "label_value": nil, "labelled_at": nil,
			"decode_microseconds": 1.0, "queue_microseconds": 0.0, "inference_microseconds": float64(1 << 40),
			"input_id": row.InputID.String(), "filename": nil, "content_type": "image/png",
			"width": 28.0, "height": 20.0, "byte_size": 6.0, "sha256": row.Input.SHA256.String(),
		}
		if images {
			tables[i]["image"] = nil
		}
	}
	for column, value := range map[string]any{
		"class_index": 1.0, "class_name": odd, "confidence": 0.75, "scores": []any{0.25, 0.75}, "correct": false,
		"filename": odd, "label_class_index": 0.0, "label_class_name": "", "labelled_at": "2026-11-23T14:06:00.120Z",
	} {
		tables[0][column] = value
	}
	if images {
		tables[0]["image"] = base64.StdEncoding.EncodeToString(image)
	}
	tables[1]["filename"] = "=1+1"
	tables[2]["values"], tables[2]["label_value"] = []any{-1.5}, -1e-7
	tables[2]["labelled_at"] = "2026-11-23T14:05:00.120Z"
	return tables
}

// same compares the tables cell by cell.
func same(t *testing.T, name string, got, want []map[string]any) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d rows, want %d", name, len(got), len(want))
	}
	for i := range want {
		for column := range got[i] {
			if _, ok := want[i][column]; !ok {
				t.Errorf("%s, row %d: there is a column %s", name, i, column)
			}
		}
		for column, value := range want[i] {
			if other, ok := got[i][column]; !ok || !reflect.DeepEqual(other, value) {
				t.Errorf("%s, row %d, %s: %#v, want %#v", name, i, column, other, value)
			}
		}
	}
}

func TestJSONL(t *testing.T) {
	for _, images := range []bool{false, true} {
		rows := stored()
		file := write(t, export.JSONL, images, rows)
		var got []map[string]any
		for line := range bytes.Lines(file) {
			var row map[string]any
			if err := json.Unmarshal(line, &row); err != nil {
				t.Fatal(err)
			}
			got = append(got, row)
		}
		same(t, "jsonl", got, table(rows, images))
	}
}

func TestCSV(t *testing.T) {
	for _, images := range []bool{false, true} {
		rows := stored()
		file := write(t, export.CSV, images, rows)
		reader := csv.NewReader(bytes.NewReader(file))
		reader.FieldsPerRecord = 27
		if images {
			reader.FieldsPerRecord++
		}
		records, err := reader.ReadAll()
		if err != nil || len(records) != 1+len(rows) {
			t.Fatal(len(records), err)
		}
		want := table(rows, images)
		want[1]["filename"], want[2]["label_value"] = "'=1+1", "-1e-07"
		for i, record := range records[1:] {
			for column, field := range record {
				name := records[0][column]
				if value := fieldOf(want[i][name]); field != value {
					t.Errorf("row %d, %s: %q, want %q", i, name, field, value)
				}
			}
		}
		if text := string(file); strings.Count(text, `,"",`) != 1 || !strings.HasSuffix(text, "\r\n") {
			t.Errorf("an empty text is not told from NULL: %s", text)
		}
	}
}

// fieldOf is a value as encoding/csv gives it, which has line feeds alone.
func fieldOf(value any) string {
	switch value := value.(type) {
	case nil:
		return ""
	case string:
		return strings.ReplaceAll(value, "\r\n", "\n")
	case []any:
		for _, stored := range outputs {
			var tensors any
			if _ = json.Unmarshal([]byte(stored), &tensors); reflect.DeepEqual(tensors, any(value)) {
				return stored
			}
		}
	}
	text, _ := json.Marshal(value)
	return string(text)
}

// TestInertFilenames: what strangers send is no formula in a spreadsheet.
func TestInertFilenames(t *testing.T) {
	for filename, want := range map[string]string{
		"=1": "'=1", "+1": "'+1", "-1.png": "'-1.png", "@2x.png": "'@2x.png", "\t=1": "'\t=1", "\r=1": "'\n=1",
		" =1": "' =1", "\u00a0\t-1": "'\u00a0\t-1", "＝1": "'＝1", "＠a": "'＠a",
		"a=1": "a=1", " a": " a", "": "", "'": "'", " ": " ", "数": "数",
	} {
		rows := stored()[:1]
		rows[0].Input.Filename = &filename
		records, err := csv.NewReader(bytes.NewReader(write(t, export.CSV, false, rows))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		if got := records[1][slices.Index(records[0], "filename")]; got != strings.ReplaceAll(want, "\n", "\r") && got != want {
			t.Errorf("%q: %q, want %q", filename, got, want)
		}
	}
}

// read has the columns of a Parquet file as its readers see them.
type read struct {
	ID         string     `parquet:"id"`
	CreatedAt  time.Time  `parquet:"created_at,timestamp(millisecond:utc)"`
	Model      string     `parquet:"model"`
	Version    int32      `parquet:"version"`
	ClassIndex *int32     `parquet:"class_index,optional"`
	ClassName  *string    `parquet:"class_name,optional"`
	Confidence *float64   `parquet:"confidence,optional"`
	Scores     []float64  `parquet:"scores,optional,list"`
	Values     []float64  `parquet:"values,optional,list"`
	Outputs    string     `parquet:"outputs"`
	Correct    *bool      `parquet:"correct,optional"`
	LabelName  *string    `parquet:"label_class_name,optional"`
	LabelValue *float64   `parquet:"label_value,optional"`
	LabelledAt *time.Time `parquet:"labelled_at,optional,timestamp(millisecond:utc)"`
	Inference  int64      `parquet:"inference_microseconds"`
	Filename   *string    `parquet:"filename,optional"`
	Image      []byte     `parquet:"image,optional"`
}

func TestParquet(t *testing.T) {
	rows := stored()
	file := write(t, export.Parquet, true, rows)
	got, err := parquet.Read[read](bytes.NewReader(file), int64(len(file)))
	if err != nil || len(got) != 3 {
		t.Fatal(len(got), err)
	}
	for i := range got {
		got[i].CreatedAt = got[i].CreatedAt.UTC()
	}
	want := []read{{
		ID: rows[0].ID.String(), CreatedAt: at, Model: odd, Version: 1, ClassIndex: ptr(int32(1)), ClassName: ptr(odd),
		Confidence: ptr(0.75), Scores: []float64{0.25, 0.75}, Outputs: outputs[0], Correct: ptr(false), LabelName: ptr(""),
		LabelledAt: ptr(at.Add(time.Minute)), Inference: 1 << 40, Filename: ptr(odd), Image: image,
	}, {
		ID: rows[1].ID.String(), CreatedAt: at.Add(time.Hour), Model: odd, Version: 2, Outputs: outputs[1],
		Inference: 1 << 40, Filename: ptr("=1+1"),
	}, {
		ID: rows[2].ID.String(), CreatedAt: at.Add(2 * time.Hour), Model: odd, Version: 3, Values: []float64{-1.5},
		Outputs: outputs[2], LabelValue: ptr(-1e-7), LabelledAt: &at, Inference: 1 << 40,
	}}
	for i := range want {
		got[i].LabelledAt = inUTC(got[i].LabelledAt)
		if !reflect.DeepEqual(got[i], want[i]) {
			g, _ := json.Marshal(got[i])
			w, _ := json.Marshal(want[i])
			t.Errorf("row %d:\n%s, want\n%s", i, g, w)
		}
	}
}

func inUTC(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	utc := t.UTC()
	return &utc
}

// TestRowGroups: a row group is written as soon as it is large, so that no file has to be in memory.
func TestRowGroups(t *testing.T) {
	rows := slices.Repeat(stored()[:1], 12)
	s := *rows[0].Stored
	s.Image = bytes.Repeat([]byte{1, 2, 3}, 3<<20)
	for i := range rows {
		rows[i].Stored = &s
	}
	file := write(t, export.Parquet, true, rows)
	opened, err := parquet.OpenFile(bytes.NewReader(file), int64(len(file)))
	if err != nil || len(opened.RowGroups()) != 3 || opened.NumRows() != 12 {
		t.Errorf("%d row groups, %d rows, %v", len(opened.RowGroups()), opened.NumRows(), err)
	}
}

// TestNothing: a file of no rows is a file.
func TestNothing(t *testing.T) {
	if file := write(t, export.JSONL, false, nil); len(file) > 0 {
		t.Errorf("%s", file)
	}
	header := write(t, export.CSV, false, nil)
	if !bytes.HasPrefix(header, []byte("id,created_at,")) || bytes.Count(header, []byte("\n")) != 1 {
		t.Errorf("%s", header)
	}
	file := write(t, export.Parquet, false, nil)
	if got, err := parquet.Read[read](bytes.NewReader(file), int64(len(file))); err != nil || len(got) != 0 {
		t.Error(len(got), err)
	}
}

// TestBroken: neither what cannot be read nor what cannot be written ends like a whole file.
func TestBroken(t *testing.T) {
	broken := errors.New("broken")
	for _, f := range []export.Format{export.JSONL, export.CSV, export.Parquet} {
		var file bytes.Buffer
		if err := export.Write(&file, f, false, each(stored(), broken)); !errors.Is(err, broken) {
			t.Errorf("%s, reading: %v", f, err)
		}
		if f == export.Parquet && bytes.HasSuffix(file.Bytes(), []byte("PAR1")) {
			t.Error("a whole file")
		}
		if err := export.Write(full{broken}, f, false, each(stored(), nil)); !errors.Is(err, broken) {
			t.Errorf("%s, writing: %v", f, err)
		}
	}
}

// full takes nothing.
type full struct{ err error }

func (f full) Write([]byte) (int, error) { return 0, f.err }
