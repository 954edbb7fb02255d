/** Addresses of pages of other features, which do not know each other. */
export const link = {
  flow: (slug: string): string => `/flows/${encodeURIComponent(slug)}`,
  edit: (slug: string): string => `/flows/${encodeURIComponent(slug)}/edit`,
  run: (id: string): string => `/runs/${id}`,
};
