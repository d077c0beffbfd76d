// Turns the networks' outputs into DeepStream's objects and attributes, as plateloop's runtime decodes them.
// plateloop_cards.h holds what the model cards say. Include path and build: see the Makefile.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "nvdsinfer_custom_impl.h"
#include "plateloop_cards.h"

namespace {

using Layers = std::vector<NvDsInferLayerInfo>;

struct Box {
    float x1, y1, x2, y2, score;
    unsigned label;

    float area() const { return std::max(x2 - x1, 0.0f) * std::max(y2 - y1, 0.0f); }
};

const NvDsInferLayerInfo *find(const Layers &layers, const char *name) {
    for (const auto &layer : layers)
        if (!layer.isInput && layer.layerName && !std::strcmp(layer.layerName, name) && layer.dataType == FLOAT)
            return &layer;
    return nullptr;
}

const float *values(const NvDsInferLayerInfo *layer) { return static_cast<const float *>(layer->buffer); }

float iou(const Box &a, const Box &b) {
    const float width = std::max(std::min(a.x2, b.x2) - std::max(a.x1, b.x1), 0.0f);
    const float height = std::max(std::min(a.y2, b.y2) - std::max(a.y1, b.y1), 0.0f);
    const float common = width * height, together = a.area() + b.area() - common;
    return together > 0 ? common / together : 0;
}

// Greedy non-maximum suppression of boxes by falling score, within a label or over all labels.
std::vector<Box> suppressed(const std::vector<Box> &boxes, float threshold, bool within_label) {
    std::vector<Box> kept;
    for (const Box &box : boxes) {
        const bool covered = std::any_of(kept.begin(), kept.end(), [&](const Box &better) {
            return (!within_label || better.label == box.label) && iou(better, box) > threshold;
        });
        if (!covered) kept.push_back(box);
    }
    return kept;
}

// The best `most` cells at or above their class's threshold, by falling score.
bool candidates(const Layers &layers, const NvDsInferParseDetectionParams &params, size_t most,
                std::vector<Box> &found) {
    const auto *boxes = find(layers, "boxes"), *scores = find(layers, "scores");
    if (!boxes || !scores || boxes->inferDims.numDims != 2 || scores->inferDims.numDims != 2) return false;
    const unsigned cells = boxes->inferDims.d[0], classes = scores->inferDims.d[1];
    if (params.perClassPreclusterThreshold.size() < classes || scores->inferDims.d[0] != cells) return false;
    for (unsigned cell = 0; cell < cells; ++cell) {
        const float *row = values(scores) + cell * classes, *box = values(boxes) + 4 * cell;
        const unsigned label = std::max_element(row, row + classes) - row;
        if (row[label] >= params.perClassPreclusterThreshold[label])
            found.push_back({box[0], box[1], box[2], box[3], row[label], label});
    }
    std::stable_sort(found.begin(), found.end(), [](const Box &a, const Box &b) { return a.score > b.score; });
    if (found.size() > most) found.resize(most);
    return true;
}

void report(const std::vector<Box> &boxes, const NvDsInferNetworkInfo &network,
            std::vector<NvDsInferObjectDetectionInfo> &objects) {
    const float width = network.width, height = network.height;
    for (const Box &box : boxes) {
        NvDsInferObjectDetectionInfo object{};  // newer SDKs have a rotation, which must be 0
        object.classId = box.label;
        object.left = std::clamp(box.x1, 0.0f, width);
        object.top = std::clamp(box.y1, 0.0f, height);
        object.width = std::clamp(box.x2, 0.0f, width) - object.left;
        object.height = std::clamp(box.y2, 0.0f, height) - object.top;
        object.detectionConfidence = box.score;
        if (object.width > 0 && object.height > 0) objects.push_back(object);
    }
}

// Probabilities of `count` logits, divided by the card's temperature.
std::vector<float> softmax(const float *logits, unsigned count, float temperature) {
    std::vector<float> result(count);
    const float highest = *std::max_element(logits, logits + count);
    float sum = 0;
    for (unsigned i = 0; i < count; ++i) sum += result[i] = std::exp((logits[i] - highest) / temperature);
    for (float &value : result) value /= sum;
    return result;
}

void add(std::vector<NvDsInferAttribute> &attributes, unsigned index, unsigned value, float confidence,
         const std::string &label) {
    NvDsInferAttribute attribute{};
    attribute.attributeIndex = index;
    attribute.attributeValue = value;
    attribute.attributeConfidence = confidence;
    attribute.attributeLabel = strdup(label.c_str());  // DeepStream frees it
    attributes.push_back(attribute);
}

// The probability of `symbols` under the CTC steps, summed over all alignments (Graves et al. 2006, 4.1).
double text_probability(const std::vector<std::vector<float>> &steps, const std::vector<unsigned> &symbols) {
    std::vector<unsigned> extended(2 * symbols.size() + 1, 0);
    for (size_t i = 0; i < symbols.size(); ++i) extended[2 * i + 1] = symbols[i];
    std::vector<double> forward(extended.size(), 0.0);
    double logarithm = 0;
    for (size_t step = 0; step < steps.size(); ++step) {
        for (size_t place = extended.size(); place-- > 0;) {  // backwards: earlier places are of the step before
            double arriving = step ? forward[place] : place < 2;
            if (step && place >= 1) arriving += forward[place - 1];
            // A symbol may follow the one before its blank directly, unless both are the same.
            if (step && place >= 3 && place % 2 && extended[place] != extended[place - 2])
                arriving += forward[place - 2];
            forward[place] = arriving * steps[step][extended[place]];
        }
        const double scale = std::max(*std::max_element(forward.begin(), forward.end()), 1e-300);
        logarithm += std::log(scale);
        for (double &value : forward) value /= scale;
    }
    const double ending = forward.back() + (forward.size() > 1 ? forward[forward.size() - 2] : 0);
    return std::min(std::exp(logarithm) * ending, 1.0);
}

}  // namespace

// Vehicles: within a class at the card's IoU, then over classes, since one vehicle may look like two kinds.
extern "C" bool PlateloopTcnet(const Layers &layers, const NvDsInferNetworkInfo &network,
                               const NvDsInferParseDetectionParams &params,
                               std::vector<NvDsInferObjectDetectionInfo> &objects) {
    std::vector<Box> found;
    if (!candidates(layers, params, plateloop::kTcnetCandidates, found)) return false;
    report(suppressed(suppressed(found, plateloop::kTcnetIou, true), plateloop::kSameVehicle, false), network,
           objects);
    return true;
}

// Plates, by their boxes: nvinfer has no corners.
extern "C" bool PlateloopLpdnet(const Layers &layers, const NvDsInferNetworkInfo &network,
                                const NvDsInferParseDetectionParams &params,
                                std::vector<NvDsInferObjectDetectionInfo> &objects) {
    std::vector<Box> found;
    if (!candidates(layers, params, 10 * plateloop::kMostPlates, found)) return false;
    auto kept = suppressed(found, plateloop::kLpdnetIou, false);
    if (kept.size() > plateloop::kMostPlates) kept.resize(plateloop::kMostPlates);
    report(kept, network, objects);
    return true;
}

// The text by best path decoding, the upper row's steps before the lower's, and the region where it is known.
extern "C" bool PlateloopLprnet(const Layers &layers, const NvDsInferNetworkInfo &, float threshold,
                                std::vector<NvDsInferAttribute> &attributes, std::string &description) {
    const auto *logits = find(layers, "logits");
    if (!logits || logits->inferDims.numDims != 2) return false;
    const unsigned count = logits->inferDims.d[0], classes = logits->inferDims.d[1];
    if (classes != std::strlen(plateloop::kAlphabet) + 1) return false;
    std::vector<std::vector<float>> steps;
    std::vector<unsigned> symbols;
    std::string text;
    unsigned before = 0;
    for (unsigned step = 0; step < count; ++step) {
        steps.push_back(softmax(values(logits) + step * classes, classes, plateloop::kLprnetTemperature));
        const unsigned best = std::max_element(steps[step].begin(), steps[step].end()) - steps[step].begin();
        if (best && best != before) {
            symbols.push_back(best);
            text += plateloop::kAlphabet[best - 1];
        }
        before = best;
    }
    const double confidence = text_probability(steps, symbols);
    if (text.empty() || confidence < threshold) return true;
    add(attributes, 0, 0, confidence, text);
    description = text;
    const auto *regions = find(layers, "regions");
    if (regions && regions->inferDims.numElements == plateloop::kRegions.size()) {
        const auto odds = softmax(values(regions), plateloop::kRegions.size(), 1);
        const unsigned best = std::max_element(odds.begin(), odds.end()) - odds.begin();
        if (odds[best] >= plateloop::kRegionFrom) add(attributes, 1, best, odds[best], plateloop::kRegions[best]);
    }
    return true;
}

// The colour, with the card's calibration.
extern "C" bool PlateloopColornet(const Layers &layers, const NvDsInferNetworkInfo &, float threshold,
                                  std::vector<NvDsInferAttribute> &attributes, std::string &description) {
    const auto *logits = find(layers, "logits");
    if (!logits || logits->inferDims.numElements != plateloop::kColors.size()) return false;
    const auto odds = softmax(values(logits), plateloop::kColors.size(), plateloop::kColornetTemperature);
    const unsigned best = std::max_element(odds.begin(), odds.end()) - odds.begin();
    if (odds[best] < threshold) return true;
    add(attributes, 0, best, odds[best], plateloop::kColors[best]);
    description = plateloop::kColors[best];
    return true;
}

CHECK_CUSTOM_PARSE_FUNC_PROTOTYPE(PlateloopTcnet);
CHECK_CUSTOM_PARSE_FUNC_PROTOTYPE(PlateloopLpdnet);
CHECK_CUSTOM_CLASSIFIER_PARSE_FUNC_PROTOTYPE(PlateloopLprnet);
CHECK_CUSTOM_CLASSIFIER_PARSE_FUNC_PROTOTYPE(PlateloopColornet);
