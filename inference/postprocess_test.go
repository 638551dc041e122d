package inference

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"
)

func TestTop(t *testing.T) {
	scores := []float64{0.1, 0.4, 0.1, 0.4, 0}
	for n, want := range map[int][]int{
		-1: {}, 0: {}, 1: {1}, 2: {1, 3}, 3: {1, 3, 0}, 4: {1, 3, 0, 2}, 5: {1, 3, 0, 2, 4}, 1000: {1, 3, 0, 2, 4},
	} {
		if got := Top(scores, n); !slices.Equal(got, want) {
			t.Errorf("Top(%d) = %v, want %v", n, got, want)
		}
	}
	if got := Top(nil, 3); len(got) != 0 {
		t.Error(got)
	}
}

func TestScores(t *testing.T) {
	v := func(a Activation) *ModelVersion {
		return &ModelVersion{Output: Output{Name: "y", Kind: KindClassification, Activation: a}}
	}
	third := 1.0 / 3
	for _, test := range []struct {
		name       string
		activation Activation
		data       string
		want       []float64
	}{
		{"softmax", ActivationSoftmax, "[1,1,1]", []float64{third, third, third}},
		{"of large logits", ActivationSoftmax, "[1000, 0]", []float64{1, 0}},
		{"of a masked class", ActivationSoftmax, `["-Infinity",2]`, []float64{0, 1}},
		{"of infinity", ActivationSoftmax, `["Infinity",2]`, nil},
		{"of NaN", ActivationSoftmax, `["NaN",2]`, nil},
		{"sigmoid", ActivationSigmoid, "[0,1000,-1000]", []float64{0.5, 1, 0}},
		{"none", ActivationNone, "[0.25, 0.75]", []float64{0.25, 0.75}},
		{"as PostgreSQL writes it", ActivationNone, " [ 0.0000001 , 1 ] ", []float64{float64(float32(1e-7)), 1}},
		{"not kept", ActivationSoftmax, "", nil},
		{"null", ActivationSoftmax, "null", nil},
		{"broken", ActivationSoftmax, "[1,", nil},
		{"strings", ActivationNone, `["a","b"]`, nil},
	} {
		got := v(test.activation).Scores([]Tensor{{Name: "x"}, {Name: "y", Datatype: fp32, Data: []byte(test.data)}})
		near := func(a, b float64) bool { return math.Abs(a-b) < 1e-12 }
		if !slices.EqualFunc(got, test.want, near) || (got == nil) != (test.want == nil) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
	if got := v(ActivationNone).Scores(nil); got != nil {
		t.Error(got)
	}
	regression := &ModelVersion{Output: Output{Name: "y", Kind: KindRegression, Activation: ActivationNone}}
	tensors := []Tensor{{Name: "y", Datatype: fp64, Data: []byte("[-3.5]")}}
	if got := regression.Values(tensors); !slices.Equal(got, []float64{-3.5}) || regression.Scores(tensors) != nil {
		t.Error(got)
	}
}

func TestClassName(t *testing.T) {
	v := &ModelVersion{ClassNames: []string{"cat", "dog"}}
	for index, want := range map[int]string{0: "cat", 1: "dog", 2: "2", -1: "-1"} {
		if got := v.ClassName(index); got != want {
			t.Errorf("ClassName(%d) = %s, want %s", index, got, want)
		}
	}
}

// TestOutputIsReadWhereItHasTo holds that the values of an output of millions are not looked at in vain.
func TestOutputIsReadWhereItHasTo(t *testing.T) {
	c, err := parseConfig(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, shape := range [][]int{{25, 1000, 1000}, {1}, {0, 4}} {
		_, _, err := newOutput(c, []onnxValue{{name: "y", datatype: fp32}}, func(int) sample {
			return sample{shape: shape, runs: func() [][]float64 {
				t.Errorf("%v was read", shape)
				return nil
			}}
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func TestTensorJSON(t *testing.T) {
	native := binary.NativeEndian
	var floats []byte
	for _, v := range []float64{0.1, -1.5e-9, 3e38, 1e21, 0, math.Inf(1), math.Inf(-1), math.NaN()} {
		floats = native.AppendUint32(floats, math.Float32bits(float32(v)))
	}
	for _, test := range []struct {
		datatype string
		raw      rawTensor
		want     string
	}{
		{fp32, rawTensor{data: floats}, `[0.1,-1.5e-09,3e+38,1e+21,0,"Infinity","-Infinity","NaN"]`},
		{fp64, rawTensor{data: native.AppendUint64(nil, math.Float64bits(0.1))}, `[0.1]`},
		{fp16, rawTensor{data: native.AppendUint16(nil, 0x3c00)}, `[1]`},
		{bf16, rawTensor{data: native.AppendUint16(nil, 0xbf80)}, `[-1]`},
		{"INT64", rawTensor{data: native.AppendUint64(nil, math.MaxUint64)}, `[-1]`},
		{"UINT64", rawTensor{data: native.AppendUint64(nil, math.MaxUint64)}, `[18446744073709551615]`},
		{"INT8", rawTensor{data: []byte{0xff, 1}}, `[-1,1]`},
		{"BOOL", rawTensor{data: []byte{0, 1}}, `[false,true]`},
		{bytesType, rawTensor{strings: []string{"a\"b"}}, `["a\"b"]`},
		{bytesType, rawTensor{strings: []string{"a\x00b\x00", "\xff"}}, `["a�b�","\ufffd"]`},
		{fp32, rawTensor{}, `[]`},
	} {
		if got := string(tensorJSON(test.raw, test.datatype)); got != test.want {
			t.Errorf("%s: %s, want %s", test.datatype, got, test.want)
		}
	}
}

func TestFloat16(t *testing.T) {
	for half := range 1 << 16 {
		value := float16ToFloat32(uint16(half))
		back := float32ToFloat16(value)
		if isNaN := half&0x7fff > 0x7c00; isNaN != (value != value) || !isNaN && back != uint16(half) {
			t.Fatalf("%#x is %v is %#x", half, value, back)
		}
	}
	for value, want := range map[float32]uint16{
		65504: 0x7bff, 65519.996: 0x7bff, 65520: 0x7c00, 1e9: 0x7c00, -1e9: 0xfc00, 0x1p-24: 1, 0x1p-25: 0, 0x1.8p-24: 2,
		1 + 0x1p-11: 0x3c00, 1 + 0x3p-11: 0x3c02, 1e-30: 0, 0.1: 0x2e66,
	} {
		if got := float32ToFloat16(value); got != want {
			t.Errorf("%v is %#x, want %#x", value, got, want)
		}
	}
}
