// What of DeepStream's interface for custom parsers the parsers use, declared anew from its documentation, so
// that they can be compiled and run without DeepStream. Sizes are those of DeepStream 9.1.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

enum NvDsInferDataType { FLOAT = 0, HALF = 1, INT8 = 2, INT32 = 3, INT64 = 4, UINT8 = 5 };

struct NvDsInferDims {
    unsigned numDims, d[8], numElements;
};

struct NvDsInferLayerInfo {
    NvDsInferDataType dataType;
    NvDsInferDims inferDims;
    int bindingIndex;
    const char *layerName;
    void *buffer;
    int isInput;
};

struct NvDsInferNetworkInfo {
    unsigned width, height, channels;
};

struct NvDsInferObjectDetectionInfo {
    unsigned classId;
    float left, top, width, height, detectionConfidence, rotation_angle;
};

struct NvDsInferAttribute {
    unsigned attributeIndex, attributeValue;
    float attributeConfidence;
    char *attributeLabel;
};

struct NvDsInferParseDetectionParams {
    unsigned numClassesConfigured;
    std::vector<float> perClassPreclusterThreshold, perClassPostclusterThreshold;
};

static_assert(sizeof(NvDsInferLayerInfo) == 72 && sizeof(NvDsInferAttribute) == 24);
static_assert(sizeof(NvDsInferObjectDetectionInfo) == 28);

using NvDsInferParseCustomFunc = bool (*)(const std::vector<NvDsInferLayerInfo> &, const NvDsInferNetworkInfo &,
                                          const NvDsInferParseDetectionParams &,
                                          std::vector<NvDsInferObjectDetectionInfo> &);
using NvDsInferClassiferParseCustomFunc = bool (*)(const std::vector<NvDsInferLayerInfo> &,
                                                   const NvDsInferNetworkInfo &, float,
                                                   std::vector<NvDsInferAttribute> &, std::string &);

#define CHECK_CUSTOM_PARSE_FUNC_PROTOTYPE(function) \
    static_assert(static_cast<NvDsInferParseCustomFunc>(&function) != nullptr)
#define CHECK_CUSTOM_CLASSIFIER_PARSE_FUNC_PROTOTYPE(function) \
    static_assert(static_cast<NvDsInferClassiferParseCustomFunc>(&function) != nullptr)
