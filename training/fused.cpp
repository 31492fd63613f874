// Batch normalisation with ReLU, and residual addition with ReLU, in one pass over bfloat16 values each.
// All tensors are channels_last. Statistics are sums in double precision over blocks summed in single precision.

#include <immintrin.h>
#include <torch/extension.h>

#include <vector>

namespace {

using torch::Tensor;
constexpr auto kLast = at::MemoryFormat::ChannelsLast;
constexpr int64_t kLanes = 16;
constexpr int64_t kBlock = 64;  // rows whose sums fit single precision

__m512 load(const uint16_t* from) {
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}

void store(uint16_t* to, __m512 values) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(values)));
}

uint16_t* data(const Tensor& tensor) {
    TORCH_CHECK(tensor.scalar_type() == torch::kBFloat16 && tensor.is_contiguous(kLast), "expected bfloat16, channels_last");
    return static_cast<uint16_t*>(tensor.data_ptr());
}

// Rows of few channels are taken together, so that a row fills whole registers.
struct Rows {
    int64_t channels, copies = 1, width, count;
    double places;

    explicit Rows(const Tensor& x) : channels(x.size(1)) {
        const int64_t rows = x.numel() / channels;
        while ((copies * channels < 4 * kLanes || copies * channels % kLanes) && rows % (2 * copies) == 0) copies *= 2;
        width = copies * channels;
        count = rows / copies;
        places = static_cast<double>(rows);
        TORCH_CHECK(width % kLanes == 0, "channels must be a multiple of 16, or of 8 with an even number of places");
    }

    std::vector<float> spread(const std::vector<float>& values) const {
        std::vector<float> result(width);
        for (int64_t c = 0; c < width; c++) result[c] = values[c % channels];
        return result;
    }

    // Sum two values that `terms` gives for a place and 16 channels, for every channel.
    template <typename Terms>
    void sum(std::vector<double>& first, std::vector<double>& second, Terms terms) const {
        first.assign(channels, 0);
        second.assign(channels, 0);
        alignas(64) float part[2][kLanes];
        for (int64_t begin = 0; begin < count; begin += kBlock) {
            const int64_t end = std::min(count, begin + kBlock);
            for (int64_t c = 0; c < width; c += kLanes) {
                __m512 a = _mm512_setzero_ps(), b = a;
                for (int64_t row = begin; row < end; row++) terms(row * width + c, c, a, b);
                _mm512_store_ps(part[0], a);
                _mm512_store_ps(part[1], b);
                for (int64_t lane = 0; lane < kLanes; lane++) {
                    first[(c + lane) % channels] += part[0][lane];
                    second[(c + lane) % channels] += part[1][lane];
                }
            }
        }
    }

    template <typename Write>
    void each(Write write) const {
        for (int64_t row = 0; row < count; row++)
            for (int64_t c = 0; c < width; c += kLanes) write(row * width + c, c);
    }
};

// relu(x * scale + shift) per channel.
struct Line {
    std::vector<float> scale, shift;

    Line(const Rows& rows, const Tensor& gamma, const Tensor& beta, const Tensor& mean, const Tensor& inverse) {
        std::vector<float> factors(rows.channels), offsets(rows.channels);
        for (int64_t c = 0; c < rows.channels; c++) {
            factors[c] = gamma.data_ptr<float>()[c] * inverse.data_ptr<float>()[c];
            offsets[c] = beta.data_ptr<float>()[c] - mean.data_ptr<float>()[c] * factors[c];
        }
        scale = rows.spread(factors);
        shift = rows.spread(offsets);
    }

    __m512 operator()(__m512 x, int64_t c) const {
        return _mm512_fmadd_ps(x, _mm512_loadu_ps(&scale[c]), _mm512_loadu_ps(&shift[c]));
    }
};

__m512 where_positive(__m512 sign, __m512 values) {
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(sign, _mm512_setzero_ps(), _CMP_GT_OQ), values);
}

// -> relu(norm(x)), mean, variance, 1 / deviation
std::vector<Tensor> normalise(const Tensor& x, const Tensor& gamma, const Tensor& beta, double epsilon) {
    const Rows rows(x);
    const uint16_t* input = data(x);
    std::vector<double> sums, squares;
    rows.sum(sums, squares, [&](int64_t at, int64_t, __m512& a, __m512& b) {
        const __m512 value = load(input + at);
        a = _mm512_add_ps(a, value);
        b = _mm512_fmadd_ps(value, value, b);
    });
    Tensor mean = torch::empty_like(gamma), variance = torch::empty_like(gamma), inverse = torch::empty_like(gamma);
    for (int64_t c = 0; c < rows.channels; c++) {
        const double average = sums[c] / rows.places;
        const double spread = std::max(0.0, squares[c] / rows.places - average * average);
        mean.data_ptr<float>()[c] = static_cast<float>(average);
        variance.data_ptr<float>()[c] = static_cast<float>(spread);
        inverse.data_ptr<float>()[c] = static_cast<float>(1 / std::sqrt(spread + epsilon));
    }
    const Line line(rows, gamma, beta, mean, inverse);
    Tensor result = torch::empty_like(x);
    uint16_t* output = data(result);
    rows.each([&](int64_t at, int64_t c) {
        store(output + at, _mm512_max_ps(_mm512_setzero_ps(), line(load(input + at), c)));
    });
    return {result, mean, variance, inverse};
}

// -> gradients of x, gamma and beta
std::vector<Tensor> normalise_backward(const Tensor& gradient, const Tensor& x, const Tensor& gamma, const Tensor& beta,
                                       const Tensor& mean, const Tensor& inverse) {
    const Rows rows(x);
    const Line line(rows, gamma, beta, mean, inverse);
    const uint16_t *input = data(x), *above = data(gradient);
    std::vector<double> sums, products;
    rows.sum(sums, products, [&](int64_t at, int64_t c, __m512& a, __m512& b) {
        const __m512 value = load(input + at), passed = where_positive(line(value, c), load(above + at));
        a = _mm512_add_ps(a, passed);
        b = _mm512_fmadd_ps(passed, value, b);
    });
    Tensor of_gamma = torch::empty_like(gamma), of_beta = torch::empty_like(beta);
    std::vector<float> slopes(rows.channels), offsets(rows.channels);
    for (int64_t c = 0; c < rows.channels; c++) {
        const double average = mean.data_ptr<float>()[c], factor = inverse.data_ptr<float>()[c];
        const double product = (products[c] - average * sums[c]) * factor;
        const double scale = gamma.data_ptr<float>()[c] * factor, slope = -scale * product / rows.places * factor;
        of_gamma.data_ptr<float>()[c] = static_cast<float>(product);
        of_beta.data_ptr<float>()[c] = static_cast<float>(sums[c]);
        slopes[c] = static_cast<float>(slope);
        offsets[c] = static_cast<float>(-scale * sums[c] / rows.places - slope * average);
    }
    const std::vector<float> slope = rows.spread(slopes), offset = rows.spread(offsets);
    Tensor result = torch::empty_like(x);
    uint16_t* output = data(result);
    rows.each([&](int64_t at, int64_t c) {
        const __m512 value = load(input + at), passed = where_positive(line(value, c), load(above + at));
        const __m512 rest = _mm512_fmadd_ps(_mm512_loadu_ps(&slope[c]), value, _mm512_loadu_ps(&offset[c]));
        store(output + at, _mm512_fmadd_ps(_mm512_loadu_ps(&line.scale[c]), passed, rest));
    });
    return {result, of_gamma, of_beta};
}

// -> x + weight * update, with ReLU if `relu`
Tensor add(const Tensor& x, const Tensor& update, double weight, bool relu) {
    TORCH_CHECK(x.numel() % kLanes == 0, "expected a multiple of 16 values");
    const uint16_t *input = data(x), *other = data(update);
    Tensor result = torch::empty_like(x);
    uint16_t* output = data(result);
    const __m512 factor = _mm512_set1_ps(static_cast<float>(weight));
    const __m512 least = _mm512_set1_ps(relu ? 0.0F : -INFINITY);
    for (int64_t at = 0; at < x.numel(); at += kLanes)
        store(output + at, _mm512_max_ps(least, _mm512_fmadd_ps(load(other + at), factor, load(input + at))));
    return result;
}

// -> gradients of x and update
std::vector<Tensor> add_backward(const Tensor& gradient, const Tensor& result, double weight, bool relu) {
    const uint16_t *above = data(gradient), *sign = data(result);
    Tensor of_x = torch::empty_like(result), of_update = torch::empty_like(result);
    uint16_t *first = data(of_x), *second = data(of_update);
    const __m512 factor = _mm512_set1_ps(static_cast<float>(weight));
    for (int64_t at = 0; at < result.numel(); at += kLanes) {
        __m512 passed = load(above + at);
        if (relu) passed = where_positive(load(sign + at), passed);
        store(first + at, passed);
        store(second + at, _mm512_mul_ps(factor, passed));
    }
    return {of_x, of_update};
}

}  // namespace

PYBIND11_MODULE(TORCH_EXTENSION_NAME, module) {
    module.def("normalise", &normalise);
    module.def("normalise_backward", &normalise_backward);
    module.def("add", &add);
    module.def("add_backward", &add_backward);
}
