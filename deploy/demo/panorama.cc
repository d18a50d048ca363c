// Paints the demo site's pictures: imaginary landscapes, the same bytes on every run.
//
//   panorama --list                    the scenes' names, one a line
//   panorama SCENE WIDTH HEIGHT        one picture as PPM (P6) on stdout
//
// A height field of ridged noise is lit, shadowed and drawn column by column from front to back
// (the "voxel space" way of the flight games of the 1990s), under a sky with clouds, above water
// that mirrors.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

namespace {

struct Vec3 {
  float x = 0, y = 0, z = 0;
};
Vec3 operator+(Vec3 a, Vec3 b) { return {a.x + b.x, a.y + b.y, a.z + b.z}; }
Vec3 operator*(Vec3 a, Vec3 b) { return {a.x * b.x, a.y * b.y, a.z * b.z}; }
Vec3 operator*(Vec3 a, float k) { return {a.x * k, a.y * k, a.z * k}; }
Vec3 Mix(Vec3 a, Vec3 b, float t) { return a * (1 - t) + b * t; }
float Clamp01(float v) { return std::clamp(v, 0.0F, 1.0F); }
float SmoothStep(float low, float high, float v) {
  const float t = Clamp01((v - low) / (high - low));
  return t * t * (3 - 2 * t);
}

/// A colour as designers write it, 0xRRGGBB, in linear light.
constexpr float Linear(int byte) {
  const float v = static_cast<float>(byte) / 255.0F;
  return v * v * (0.7F + 0.3F * v);  // close enough to the sRGB curve, and constexpr
}
constexpr Vec3 Rgb(int hex) {
  return {Linear(hex >> 16 & 255), Linear(hex >> 8 & 255), Linear(hex & 255)};
}

struct Scene {
  std::string_view name;
  uint32_t seed = 1;
  Vec3 zenith, horizon, sun_light, haze;
  Vec3 low, high, rock;
  float sun_azimuth = 0.6F;  ///< radians to the right of the view
  float sun_height = 0.35F;  ///< radians above the horizon
  float clouds = 0.4F;       ///< 0 none, 1 overcast
  float ridged = 0.7F;       ///< 0 rolling hills, 1 sharp ridges
  float relief = 150;        ///< height of the highest tops
  float wavelength = 420;    ///< distance between tops
  float water = -1;          ///< water level; below 0: none
  float snow = 1e9F;         ///< height where snow starts
  float fog = 1400;          ///< distance at which a third of the colour is left
  float eye = 60;            ///< height of the eye above the ground
  float pitch = 0.0F;        ///< of the picture's height, the horizon above the middle
  float cone = 0;            ///< height of a volcano in the distance
  float stars = 0;
  float trees = 9;       ///< height of the woods on gentle slopes
  float focal = 1.15F;   ///< focal length, in widths of the picture
  float clearing = 900;  ///< the land is low up to this distance from the eye
};

// A scene's row reads like a palette: colours first, then light, then land.
const std::vector<Scene> kScenes = {
    {.name = "taunus-dawn",
     .seed = 11,
     .zenith = Rgb(0x4f77a8),
     .horizon = Rgb(0xf7cfa4),
     .sun_light = Rgb(0xffc98a),
     .haze = Rgb(0xf0cdb0),
     .low = Rgb(0x3f5a35),
     .high = Rgb(0x6b7442),
     .rock = Rgb(0x6a6156),
     .sun_azimuth = 0.28F,
     .sun_height = 0.14F,
     .clouds = 0.45F,
     .ridged = 0.35F,
     .relief = 230,
     .wavelength = 520,
     .fog = 800,
     .eye = 50,
     .pitch = 0.04F},
    {.name = "rhine-evening",
     .seed = 23,
     .zenith = Rgb(0x39598c),
     .horizon = Rgb(0xffb27a),
     .sun_light = Rgb(0xffb066),
     .haze = Rgb(0xe8a888),
     .low = Rgb(0x47592f),
     .high = Rgb(0x7a7040),
     .rock = Rgb(0x6d5d50),
     .sun_azimuth = -0.35F,
     .sun_height = 0.12F,
     .clouds = 0.55F,
     .ridged = 0.5F,
     .relief = 300,
     .wavelength = 480,
     .water = 44,
     .fog = 1300,
     .eye = 22,
     .pitch = -0.04F,
     .clearing = 1500},
    {.name = "odenwald-noon",
     .seed = 31,
     .zenith = Rgb(0x2f6fb8),
     .horizon = Rgb(0xbcd9ef),
     .sun_light = Rgb(0xfff2dc),
     .haze = Rgb(0xb9d3e6),
     .low = Rgb(0x4a5f3a),
     .high = Rgb(0x86854f),
     .rock = Rgb(0x77705f),
     .sun_azimuth = 1.9F,
     .sun_height = 0.7F,
     .clouds = 0.6F,
     .ridged = 0.3F,
     .relief = 210,
     .wavelength = 430,
     .fog = 1500,
     .eye = 34,
     .pitch = 0.02F},
    {.name = "blue-ridge",
     .seed = 47,
     .zenith = Rgb(0x5d8fc7),
     .horizon = Rgb(0xdfe9f2),
     .sun_light = Rgb(0xfff0d8),
     .haze = Rgb(0x9fbcd8),
     .low = Rgb(0x2e5138),
     .high = Rgb(0x48694a),
     .rock = Rgb(0x667060),
     .sun_azimuth = 1.2F,
     .sun_height = 0.45F,
     .clouds = 0.3F,
     .ridged = 0.55F,
     .relief = 360,
     .wavelength = 460,
     .fog = 900,
     .eye = 110,
     .pitch = 0.08F},
    {.name = "shenandoah-autumn",
     .seed = 58,
     .zenith = Rgb(0x3d78bd),
     .horizon = Rgb(0xf3e3c4),
     .sun_light = Rgb(0xffe0ae),
     .haze = Rgb(0xd9cfc0),
     .low = Rgb(0x9a5a1e),
     .high = Rgb(0xb98a2e),
     .rock = Rgb(0x75685c),
     .sun_azimuth = -1.3F,
     .sun_height = 0.4F,
     .clouds = 0.35F,
     .ridged = 0.5F,
     .relief = 300,
     .wavelength = 430,
     .water = 40,
     .fog = 1400,
     .eye = 45,
     .pitch = 0.0F},
    {.name = "chesapeake-morning",
     .seed = 64,
     .zenith = Rgb(0x6b93c4),
     .horizon = Rgb(0xfbe3cf),
     .sun_light = Rgb(0xffd9a8),
     .haze = Rgb(0xecdcd2),
     .low = Rgb(0x55663b),
     .high = Rgb(0x7d7c50),
     .rock = Rgb(0x857a68),
     .sun_azimuth = 0.1F,
     .sun_height = 0.17F,
     .clouds = 0.65F,
     .ridged = 0.4F,
     .relief = 150,
     .wavelength = 560,
     .water = 40,
     .fog = 900,
     .eye = 18,
     .pitch = -0.05F,
     .clearing = 1100},
    {.name = "fuji-lake",
     .seed = 71,
     .zenith = Rgb(0x3f7ec4),
     .horizon = Rgb(0xe6eef5),
     .sun_light = Rgb(0xfff4e2),
     .haze = Rgb(0xbfd2e4),
     .low = Rgb(0x35573a),
     .high = Rgb(0x55704a),
     .rock = Rgb(0x5b5a63),
     .sun_azimuth = 1.1F,
     .sun_height = 0.5F,
     .clouds = 0.25F,
     .ridged = 0.35F,
     .relief = 170,
     .wavelength = 520,
     .water = 40,
     .snow = 380,
     .fog = 3200,
     .eye = 20,
     .pitch = -0.06F,
     .cone = 760,
     .clearing = 1500},
    {.name = "okutama-rain",
     .seed = 83,
     .zenith = Rgb(0x8b99a5),
     .horizon = Rgb(0xcfd8dc),
     .sun_light = Rgb(0xcdd6da),
     .haze = Rgb(0xc3ced3),
     .low = Rgb(0x2a4a35),
     .high = Rgb(0x3d5c42),
     .rock = Rgb(0x59605b),
     .sun_azimuth = 0.4F,
     .sun_height = 0.9F,
     .clouds = 0.95F,
     .ridged = 0.75F,
     .relief = 420,
     .wavelength = 360,
     .fog = 650,
     .eye = 70,
     .pitch = 0.0F},
    {.name = "sagami-night",
     .seed = 97,
     .zenith = Rgb(0x0b1530),
     .horizon = Rgb(0x31507a),
     .sun_light = Rgb(0x9db4d8),
     .haze = Rgb(0x22385c),
     .low = Rgb(0x1d2c33),
     .high = Rgb(0x2a3942),
     .rock = Rgb(0x39424c),
     .sun_azimuth = -0.2F,
     .sun_height = 0.2F,
     .clouds = 0.25F,
     .ridged = 0.5F,
     .relief = 290,
     .wavelength = 460,
     .water = 48,
     .fog = 1800,
     .eye = 20,
     .pitch = -0.08F,
     .stars = 1,
     .clearing = 1300},
    {.name = "bernina-summer",
     .seed = 105,
     .zenith = Rgb(0x2b6bbb),
     .horizon = Rgb(0xcfe2f2),
     .sun_light = Rgb(0xfff3e0),
     .haze = Rgb(0xb4cbe0),
     .low = Rgb(0x46603a),
     .high = Rgb(0x7d7f58),
     .rock = Rgb(0x77726e),
     .sun_azimuth = -1.0F,
     .sun_height = 0.55F,
     .clouds = 0.4F,
     .ridged = 1,
     .relief = 640,
     .wavelength = 620,
     .snow = 300,
     .fog = 3000,
     .eye = 60,
     .pitch = -0.08F,
     .focal = 1.0F,
     .clearing = 1400},
    {.name = "tatra-winter",
     .seed = 118,
     .zenith = Rgb(0x3c6fae),
     .horizon = Rgb(0xf6d9c8),
     .sun_light = Rgb(0xffdcb8),
     .haze = Rgb(0xd3d3e2),
     .low = Rgb(0xdfe6f0),
     .high = Rgb(0xeef2f8),
     .rock = Rgb(0x5f6470),
     .sun_azimuth = 0.75F,
     .sun_height = 0.22F,
     .clouds = 0.3F,
     .ridged = 0.95F,
     .relief = 520,
     .wavelength = 560,
     .snow = 60,
     .fog = 2400,
     .eye = 50,
     .pitch = -0.06F,
     .trees = 0,
     .clearing = 1300},
    {.name = "lofoten-midnight",
     .seed = 131,
     .zenith = Rgb(0x4a6da6),
     .horizon = Rgb(0xffbf86),
     .sun_light = Rgb(0xffb273),
     .haze = Rgb(0xd5a6a0),
     .low = Rgb(0x4a5a3c),
     .high = Rgb(0x6a6a55),
     .rock = Rgb(0x5a5358),
     .sun_azimuth = 0.45F,
     .sun_height = 0.1F,
     .clouds = 0.5F,
     .ridged = 0.95F,
     .relief = 560,
     .wavelength = 600,
     .water = 96,
     .snow = 330,
     .fog = 2200,
     .eye = 20,
     .pitch = -0.08F,
     .clearing = 1500},
};

float HashToUnit(int x, int y, uint32_t seed) {
  uint32_t h = static_cast<uint32_t>(x) * 0x9E3779B1U ^ static_cast<uint32_t>(y) * 0x85EBCA77U ^
               seed * 0xC2B2AE3DU;
  h = (h ^ h >> 15) * 0x2C1B3C6DU;
  h = (h ^ h >> 12) * 0x297A2D39U;
  return static_cast<float>((h ^ h >> 15) >> 8) * (1.0F / 16777216.0F);
}

/// Value noise, 0 to 1, smooth to the second derivative.
float Noise(float x, float y, uint32_t seed) {
  const int ix = static_cast<int>(std::floor(x));
  const int iy = static_cast<int>(std::floor(y));
  const float fx = x - static_cast<float>(ix);
  const float fy = y - static_cast<float>(iy);
  const float u = fx * fx * fx * (fx * (fx * 6 - 15) + 10);
  const float v = fy * fy * fy * (fy * (fy * 6 - 15) + 10);
  const float top = std::lerp(HashToUnit(ix, iy, seed), HashToUnit(ix + 1, iy, seed), u);
  const float bottom = std::lerp(HashToUnit(ix, iy + 1, seed), HashToUnit(ix + 1, iy + 1, seed), u);
  return std::lerp(top, bottom, v);
}

/// Sum of octaves, 0 to 1.
float Fractal(float x, float y, int octaves, uint32_t seed) {
  float sum = 0;
  float weight = 0.5F;
  for (int octave = 0; octave < octaves; ++octave) {
    sum += weight * Noise(x, y, seed + static_cast<uint32_t>(octave));
    const float turned = x * 1.62F + y * 1.18F;  // turning each octave hides the grid
    y = y * 1.62F - x * 1.18F;
    x = turned;
    weight *= 0.5F;
  }
  return sum;
}

/// The land: heights with their light, looked up by bilinear interpolation.
class Terrain {
 public:
  explicit Terrain(const Scene& scene) : scene_(scene), cells_(kSide * kSide) {
    for (int y = 0; y < kSide; ++y) {
      for (int x = 0; x < kSide; ++x) {
        const float px = Position(x);
        const float py = Position(y);
        const float off = std::hypot((px - kExtent / 2) * 1.5F, py - 60);
        const float open = std::lerp(0.22F, 1.0F, SmoothStep(0.15F, 1.0F, off / scene.clearing));
        At(x, y).height = RawHeight(px, py) * open;
      }
    }
    CastShadows();
  }

  struct Sample {
    float height = 0;
    float light = 0;  ///< of the sun, 0 to 1, shadow included
    float slope = 0;
  };
  static constexpr float kExtent = 4600;

  Sample Look(float x, float y) const {
    const float gx = std::clamp(x / kCell, 1.0F, static_cast<float>(kSide - 3));
    const float gy = std::clamp(y / kCell, 1.0F, static_cast<float>(kSide - 3));
    const int ix = static_cast<int>(gx);
    const int iy = static_cast<int>(gy);
    const float fx = gx - static_cast<float>(ix);
    const float fy = gy - static_cast<float>(iy);
    const Sample& a = At(ix, iy);
    const Sample& b = At(ix + 1, iy);
    const Sample& c = At(ix, iy + 1);
    const Sample& d = At(ix + 1, iy + 1);
    const auto blend = [&](float Sample::*m) {
      return std::lerp(std::lerp(a.*m, b.*m, fx), std::lerp(c.*m, d.*m, fx), fy);
    };
    return {blend(&Sample::height), blend(&Sample::light), blend(&Sample::slope)};
  }

 private:
  static constexpr int kSide = 1152;
  static constexpr float kCell = kExtent / kSide;
  static float Position(int cell) { return static_cast<float>(cell) * kCell; }
  Sample& At(int x, int y) { return cells_[static_cast<size_t>(y * kSide + x)]; }
  const Sample& At(int x, int y) const { return cells_[static_cast<size_t>(y * kSide + x)]; }

  float RawHeight(float x, float y) const {
    float amplitude = 0.5F;
    float frequency = 1 / scene_.wavelength;
    float sum = 0;
    float previous = 1;
    for (int octave = 0; octave < 8; ++octave) {
      const float n =
          Noise(x * frequency, y * frequency, scene_.seed * 131 + static_cast<uint32_t>(octave));
      const float ridge = 1 - std::fabs(2 * n - 1);
      const float sharp = ridge * ridge * previous;
      sum += amplitude * std::lerp(n, sharp, scene_.ridged);
      previous = std::lerp(1.0F, std::min(1.0F, sharp * 1.6F), scene_.ridged);
      const float turned = x * 0.8F + y * 0.6F;
      y = y * 0.8F - x * 0.6F;
      x = turned;
      frequency *= 2.07F;
      amplitude *= 0.47F;
    }
    return sum * scene_.relief + Volcano(x, y, sum);
  }

  // The coordinates come in turned eight times; turning is no bother for a hill of revolution, so
  // its place is found by turning the wanted place alike.
  float Volcano(float x, float y, float roughness) const {
    if (scene_.cone <= 0) return 0;
    float px = kExtent * 0.53F;
    float py = kExtent * 0.60F;
    for (int octave = 0; octave < 8; ++octave) {
      const float turned = px * 0.8F + py * 0.6F;
      py = py * 0.8F - px * 0.6F;
      px = turned;
    }
    const float distance = std::hypot(x - px, y - py);
    const float flank = std::exp(-distance / 330.0F) * 1.25F;
    return scene_.cone * std::min(flank, 0.86F + 0.05F * roughness);
  }

  // The sun's light falls cell by cell away from the sun: a cell is in shadow when the line carried
  // on from the cells before it, sinking with the sun's height, passes above it.
  void CastShadows() {
    const float dx = std::sin(scene_.sun_azimuth);
    const float dy = std::cos(scene_.sun_azimuth);
    const float rise = std::tan(std::max(0.06F, scene_.sun_height));
    for (int y = 1; y < kSide - 1; ++y) {
      for (int x = 1; x < kSide - 1; ++x) {
        Sample& cell = At(x, y);
        const float sx = (At(x + 1, y).height - At(x - 1, y).height) / (2 * kCell);
        const float sy = (At(x, y + 1).height - At(x, y - 1).height) / (2 * kCell);
        const float norm = std::sqrt(1 + sx * sx + sy * sy);
        cell.slope = std::sqrt(sx * sx + sy * sy);
        const float facing = (-sx * dx - sy * dy + rise) / (norm * std::sqrt(1 + rise * rise));
        cell.light = Clamp01(facing) * Unshaded(x, y, dx, dy, rise);
      }
    }
  }

  float Unshaded(int x, int y, float dx, float dy, float rise) const {
    const float start = At(x, y).height + 1.5F;
    float clear = 1;
    for (float step = 3; step < 90; step *= 1.22F) {
      const int px = x + static_cast<int>(dx * step);
      const int py = y + static_cast<int>(dy * step);
      if (px < 0 || py < 0 || px >= kSide || py >= kSide) break;
      const float line = start + step * kCell * rise;
      clear = std::min(clear, Clamp01(1 - (At(px, py).height - line) / (1 + step * 0.25F)));
    }
    return clear;
  }

  const Scene& scene_;
  std::vector<Sample> cells_;
};

class Painter {
 public:
  Painter(const Scene& scene, int width, int height)
      : scene_(scene),
        terrain_(scene),
        width_(width),
        height_(height),
        horizon_(static_cast<float>(height) * (0.5F - scene.pitch)),
        focal_(static_cast<float>(width) * scene.focal),
        pixels_(static_cast<size_t>(width) * static_cast<size_t>(height)),
        is_water_(pixels_.size()) {}

  void Paint() {
    // What lies below the horizon is ground or water from edge to edge.
    const int sky_rows = std::min(height_, static_cast<int>(horizon_) + 2);
    for (int y = 0; y < sky_rows; ++y) {
      for (int x = 0; x < width_; ++x)
        Pixel(x, y) = Sky(static_cast<float>(x), static_cast<float>(y));
    }
    for (int x = 0; x < width_; ++x) Column(x);
    if (scene_.water >= 0) Mirror();
  }

  bool Write(FILE* out) const {
    std::vector<uint8_t> bytes;
    bytes.reserve(pixels_.size() * 3);
    for (int y = 0; y < height_; ++y) {
      for (int x = 0; x < width_; ++x) {
        const Vec3 c = Vivid(pixels_[Index(x, y)]);
        const float grain = (HashToUnit(x, y, scene_.seed ^ 77) - 0.5F) * 0.032F;
        for (const float channel : {c.x, c.y, c.z}) {
          const float flat = Clamp01(std::sqrt(channel / (channel * 0.32F + 0.74F)));
          const float shown = std::lerp(flat, SmoothStep(0, 1, flat), 0.62F) + grain;
          bytes.push_back(static_cast<uint8_t>(Clamp01(shown) * 255.0F + 0.5F));
        }
      }
    }
    std::fprintf(out, "P6\n%d %d\n255\n", width_, height_);
    return std::fwrite(bytes.data(), 1, bytes.size(), out) == bytes.size();
  }

 private:
  size_t Index(int x, int y) const {
    return static_cast<size_t>(y) * static_cast<size_t>(width_) + static_cast<size_t>(x);
  }
  Vec3& Pixel(int x, int y) { return pixels_[Index(x, y)]; }

  static Vec3 Vivid(Vec3 c) {
    const float grey = 0.3F * c.x + 0.6F * c.y + 0.1F * c.z;
    const Vec3 v = Mix({grey, grey, grey}, c, 1.18F);
    return {std::max(0.0F, v.x), std::max(0.0F, v.y), std::max(0.0F, v.z)};
  }

  Vec3 Sky(float x, float y) const {
    const float across = (x - static_cast<float>(width_) / 2) / focal_;
    const float up = std::max(0.0F, (horizon_ - y) / focal_);
    const float blend = 1 - std::exp(-up * 4.2F);
    Vec3 colour = Mix(scene_.horizon, scene_.zenith, blend);
    const float away = std::hypot(across - std::tan(std::clamp(scene_.sun_azimuth, -1.2F, 1.2F)),
                                  up - std::tan(scene_.sun_height));
    colour =
        colour + scene_.sun_light * (0.55F * std::exp(-away * 5) + 0.22F * std::exp(-away * 1.6F));
    if (scene_.stars > 0)
      colour = colour + Star(x, y) * (scene_.stars * SmoothStep(0.02F, 0.3F, up));
    const float disc = scene_.stars > 0 ? 0.028F : 0.02F;
    colour = colour + scene_.sun_light * (5 * SmoothStep(disc * 1.12F, disc * 0.9F, away));
    return scene_.clouds > 0 ? Clouded(colour, across, up, away) : colour;
  }

  Vec3 Star(float x, float y) const {
    const float scale = 1600.0F / static_cast<float>(width_);
    const int cx = static_cast<int>(x * scale / 9);
    const int cy = static_cast<int>(y * scale / 9);
    if (HashToUnit(cx, cy, 5) < 0.93F) return {};
    const float px = (static_cast<float>(cx) + 0.2F + 0.6F * HashToUnit(cx, cy, 6)) * 9 / scale;
    const float py = (static_cast<float>(cy) + 0.2F + 0.6F * HashToUnit(cx, cy, 7)) * 9 / scale;
    const float size = (0.5F + 0.8F * HashToUnit(cx, cy, 8)) / scale;
    const float glow = std::exp(-std::pow(std::hypot(x - px, y - py) / size, 2.0F));
    return Vec3{0.85F, 0.9F, 1} * glow;
  }

  // Clouds lie on a plane above; farther ones are seen flatter and fade into the haze.
  Vec3 Clouded(Vec3 sky, float across, float up, float sun_distance) const {
    const float depth = 1 / (up + 0.09F);
    const float u = across * depth * 1.15F + 40;
    const float v = depth * 1.8F;
    const float warp = Fractal(u * 0.5F + 9, v * 0.5F, 3, scene_.seed + 5);
    const float density = Fractal(u + warp * 1.4F, v + warp, 6, scene_.seed + 17);
    const float threshold = std::lerp(0.66F, 0.28F, scene_.clouds);
    const float cover =
        SmoothStep(threshold, threshold + 0.2F, density) * SmoothStep(0.0F, 0.13F, up);
    const float thick = SmoothStep(threshold + 0.05F, threshold + 0.4F, density);
    const Vec3 bright = Mix(scene_.horizon * 1.15F, scene_.sun_light, 0.45F) *
                        (1 + 0.8F * std::exp(-sun_distance * 3));
    const Vec3 dark = Mix(scene_.zenith, scene_.haze, 0.6F) * 0.8F;
    return Mix(sky, Mix(bright, dark, thick * 0.8F), cover * 0.88F);
  }

  // Adds what the height field is too coarse for: crowns of trees where it is gentle and below the
  // snow,
  // stones elsewhere. Returns how much of a crown stands here, 0 to 1.
  float Roughen(float x, float y, Terrain::Sample* land) const {
    const float wooded =
        (1 - SmoothStep(0.55F, 0.95F, land->slope)) *
        (1 - SmoothStep(scene_.snow - 60, scene_.snow, land->height)) *
        SmoothStep(0.4F, 0.52F, Fractal(x * 0.006F, y * 0.006F, 3, scene_.seed + 41));
    const float crown =
        Noise(x * 0.19F, y * 0.19F, 19) * (0.4F + 0.6F * Noise(x * 0.6F, y * 0.6F, 20)) * wooded;
    land->height += scene_.trees * crown + 2.2F * Noise(x * 0.3F, y * 0.3F, 21) * (1 - wooded);
    return scene_.trees > 0 ? crown : 0;
  }

  Vec3 Ground(const Terrain::Sample& land, float x, float y, float crown) const {
    const float speck = Fractal(x * 0.11F, y * 0.11F, 4, scene_.seed + 3);
    const float patch = Fractal(x * 0.012F, y * 0.012F, 3, scene_.seed + 29);
    const float tall = land.height / scene_.relief;
    Vec3 colour = Mix(scene_.low, scene_.high, Clamp01(tall * 1.3F + (patch - 0.45F) * 1.6F));
    colour = Mix(colour, scene_.low * (0.25F + 1.1F * crown), SmoothStep(0.02F, 0.1F, crown));
    const float fine = Noise(x * 0.9F, y * 0.9F, 33) - 0.5F;
    colour = colour * (0.6F + 0.8F * speck + 0.35F * fine);
    const float steep = SmoothStep(0.75F, 1.15F, land.slope + (speck - 0.45F) * 0.7F);
    colour = Mix(colour, scene_.rock * (0.7F + 0.6F * speck), steep);
    const float line = scene_.snow + (patch - 0.45F) * 160;
    const float snow =
        SmoothStep(line - 18, line + 26, land.height) * (1 - SmoothStep(0.8F, 1.35F, land.slope));
    colour = Mix(colour, Vec3{0.86F, 0.9F, 0.97F}, snow);
    const Vec3 ambient = Mix(scene_.zenith, scene_.haze, 0.5F) * 0.42F;
    return colour * (scene_.sun_light * (land.light * 2.1F) + ambient);
  }

  void Column(int x) {
    const float across = (static_cast<float>(x) - static_cast<float>(width_) / 2) / focal_;
    const float eye_x = Terrain::kExtent * 0.5F;
    const float eye_y = 60;
    const float ground = terrain_.Look(eye_x, eye_y + 40).height;
    const float eye = std::max(ground, scene_.water) + scene_.eye;
    const Vec3 air = Mix(scene_.haze, Sky(static_cast<float>(x), horizon_ - 2), 0.4F);
    int bottom = height_;  // everything from here down is drawn
    for (float depth = 14; depth < 4300 && bottom > 0; depth *= 1.0012F, depth += 0.04F) {
      const float px = eye_x + across * depth;
      const float py = eye_y + depth;
      Terrain::Sample land = terrain_.Look(px, py);
      const bool wet = land.height < scene_.water;
      const float highest = std::max(land.height + scene_.trees + 3, scene_.water);
      if (horizon_ + (eye - highest) * focal_ / depth >= static_cast<float>(bottom)) continue;
      const float crown = wet ? 0 : Roughen(px, py, &land);
      const float top = wet ? scene_.water : land.height;
      const int row = std::max(0, static_cast<int>(horizon_ + (eye - top) * focal_ / depth));
      if (row >= bottom) continue;
      const float fog = 1 - std::exp(-std::max(0.0F, depth - 60) / scene_.fog);
      const Vec3 colour =
          Mix(wet ? scene_.zenith * 0.1F : Ground(land, px, py, crown), air, fog * 0.94F);
      for (int y = row; y < bottom; ++y) {
        Pixel(x, y) = colour;
        is_water_[Index(x, y)] = wet ? 1 : 0;
      }
      bottom = row;
    }
  }

  // Water shows what stands as far above the shore line as the water lies below it, moved by small
  // waves.
  void Mirror() {
    for (int x = 0; x < width_; ++x) {
      int shore = static_cast<int>(horizon_);
      for (int y = 0; y < height_; ++y) {
        if (is_water_[Index(x, y)] == 0) {
          shore = std::max(shore, y);
          continue;
        }
        const float down = static_cast<float>(y) - horizon_ + 2;
        const float distance = 1 / (down / static_cast<float>(height_) + 0.015F);
        const float wave = Fractal(static_cast<float>(x) * 0.012F * distance * 0.3F,
                                   distance * 5.5F, 4, scene_.seed) -
                           0.47F;
        const int source = 2 * shore - y + static_cast<int>(wave * down * 0.55F);
        const Vec3 mirrored = pixels_[Index(x, std::clamp(source, 0, shore))];
        const float fresnel = 0.42F + 0.5F * std::exp(-down / static_cast<float>(height_) * 5);
        Pixel(x, y) = Pixel(x, y) + mirrored * (fresnel * (1 + wave * 0.5F));
      }
    }
  }

  const Scene& scene_;
  Terrain terrain_;
  int width_;
  int height_;
  float horizon_;
  float focal_;
  std::vector<Vec3> pixels_;
  std::vector<uint8_t> is_water_;
};

}  // namespace

int main(int argc, char** argv) {
  const std::vector<Scene> scenes = kScenes;
  if (argc == 2 && std::strcmp(argv[1], "--list") == 0) {
    for (const Scene& scene : scenes) std::printf("%s\n", scene.name.data());
    return 0;
  }
  const int width = argc == 4 ? std::atoi(argv[2]) : 0;
  const int height = argc == 4 ? std::atoi(argv[3]) : 0;
  for (const Scene& scene : scenes) {
    if (width < 16 || height < 16 || width > 8192 || height > 8192 || scene.name != argv[1])
      continue;
    Painter painter(scene, width, height);
    painter.Paint();
    return painter.Write(stdout) ? 0 : 1;
  }
  std::fprintf(stderr, "usage: panorama --list | panorama SCENE WIDTH HEIGHT (16 to 8192 each)\n");
  return 2;
}
