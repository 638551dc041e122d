package graph

import "sibyl/persistence"

// imageCost is that of a field whose bytes are read, and perhaps decoded.
const imageCost = 10

// complexityRoot gives connections the cost of their page: that of one node for each that may be returned.
func complexityRoot() (c ComplexityRoot) {
	c.Query.Predictions = func(
		child int, first *int32, _ *string, last *int32, _ *string, _ *PredictionFilter, _ persistence.PredictionOrder,
	) int {
		return pageCost(child, first, last)
	}
	c.Query.Inputs = func(child int, first *int32, _ *string, last *int32, _ *string, _ *InputFilter) int {
		return pageCost(child, first, last)
	}
	ofPredictions := func(child int, first *int32, _ *string, last *int32, _ *string, _ *PredictionFilter) int {
		return pageCost(child, first, last)
	}
	c.Input.Predictions = ofPredictions
	c.ModelVersion.Predictions = ofPredictions
	c.Image.DataURL = func(int) int { return imageCost }
	c.Image.Thumbnail = func(int, int32) int { return imageCost }
	c.Mutation.PredictBatch = func(child int, images []*Upload, _ *string, _ *int32) int {
		return times(child, len(images))
	}
	c.Query.Nodes = func(child int, ids []string) int { return times(child, len(ids)) }
	return c
}

func pageCost(child int, first, last *int32) int {
	n := int32(defaultPage)
	switch {
	case first != nil:
		n = *first
	case last != nil:
		n = *last
	}
	return times(child, min(max(int(n), 0), maxPage))
}

// times stops far above every limit, so that deep nesting cannot overflow to a small number.
func times(child, n int) int {
	const enough = 1 << 40
	return 1 + min(child, enough)*n
}
