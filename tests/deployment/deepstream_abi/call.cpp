// Calls a parser as nvinfer does, behind plain C arrays that ctypes can pass.
#include <cstdlib>
#include <cstring>

#include "nvdsinfer_custom_impl.h"

static std::vector<NvDsInferLayerInfo> layers_of(int count, const char **names, float **buffers,
                                                 const unsigned *rows, const unsigned *columns) {
    std::vector<NvDsInferLayerInfo> layers;
    for (int i = 0; i < count; ++i) {
        NvDsInferLayerInfo layer{};
        const unsigned both = rows[i] ? 2 : 1;
        layer.inferDims = {both, {rows[i] ? rows[i] : columns[i], columns[i]}, (rows[i] ? rows[i] : 1) * columns[i]};
        layer.layerName = names[i];
        layer.buffer = buffers[i];
        layers.push_back(layer);
    }
    return layers;
}

// Objects as rows of class, left, top, width, height, confidence; their number, -1 where the parser fails.
extern "C" int detect(void *parser, int count, const char **names, float **buffers, const unsigned *rows,
                      const unsigned *columns, unsigned width, unsigned height, int classes, float threshold,
                      float *found, int most) {
    NvDsInferParseDetectionParams params{};
    params.numClassesConfigured = classes;
    params.perClassPreclusterThreshold.assign(classes, threshold);
    std::vector<NvDsInferObjectDetectionInfo> objects;
    const auto layers = layers_of(count, names, buffers, rows, columns);
    if (!reinterpret_cast<NvDsInferParseCustomFunc>(parser)(layers, {width, height, 3}, params, objects)) return -1;
    int number = 0;
    for (const auto &o : objects) {
        if (number == most || o.rotation_angle != 0) return -1;
        const float row[] = {float(o.classId), o.left, o.top, o.width, o.height, o.detectionConfidence};
        std::memcpy(found + 6 * number++, row, sizeof row);
    }
    return number;
}

// Labels joined by spaces, and their confidences; their number, -1 where the parser fails.
extern "C" int classify(void *parser, int count, const char **names, float **buffers, const unsigned *rows,
                        const unsigned *columns, float threshold, char *labels, float *confidences) {
    std::vector<NvDsInferAttribute> attributes;
    std::string description;
    const auto layers = layers_of(count, names, buffers, rows, columns);
    if (!reinterpret_cast<NvDsInferClassiferParseCustomFunc>(parser)(layers, {1, 1, 3}, threshold, attributes,
                                                                     description))
        return -1;
    std::string joined;
    for (size_t i = 0; i < attributes.size(); ++i) {
        joined += (i ? " " : "") + std::string(attributes[i].attributeLabel);
        confidences[i] = attributes[i].attributeConfidence;
        std::free(attributes[i].attributeLabel);
    }
    std::strcpy(labels, joined.c_str());
    return static_cast<int>(attributes.size());
}
